import { parseDuration, type Cause, type Json } from '../../protocol/index.ts'
import type { SessionOptions } from '../core/index.ts'

/** A duration as people write it: `'250ms'`, `'5s'`, `'2m'`, or a number of milliseconds. */
export type Duration = string | number

/** Options of `connectPresence`. */
export interface PresenceOptions {
  /** The broker's WebSocket, `wss://…/mqtt`; `/mqtt` is that of the page's own server. */
  readonly url: string
  /** Who the user is; the MQTT user name. @default the client id: a new, anonymous user for each page */
  readonly user?: string
  /** What others see of the user, wherever it is. */
  readonly data?: Json
  /**
   * Called on the page before every attempt to connect; what it returns is the MQTT password. Of a JSON Web Token
   * that has `exp` the next one is asked for in the last quarter of its time, from two minutes before its end, and
   * handed to the broker without a reconnection: it has to hold longer than the one before.
   * @default none
   */
  readonly getToken?: () => string | Promise<string>
  /** The MQTT keepalive: a network that is gone is noticed after 1.5 of it. From 1s. @default '10s' */
  readonly keepalive?: Duration
  /**
   * Where the connection runs. `auto`: a shared worker where the browser lets it outlive its pages for a
   * moment and the user is named, else a dedicated one, else the page.
   * @default 'auto'
   */
  readonly worker?: 'auto' | 'shared' | 'dedicated' | 'page'
  /** Where the dedicated worker's script is. @default `client.worker.js` beside this script */
  readonly workerUrl?: string | URL
  /** Where the shared worker's script is. @default `client.shared-worker.js` beside this script */
  readonly sharedWorkerUrl?: string | URL
  /** Makes the dedicated worker, for who bundles it in another way. */
  readonly createWorker?: () => Worker
  /**
   * `own`: a broker of this project, which speaks for the connection. `foreign`: any other, where the
   * client sets its will and its birth and answers the roll call.
   * @default 'own'
   */
  readonly broker?: 'own' | 'foreign'
  /** The prefix of the presence topics. @default 'presence' */
  readonly root?: string
  /** The version of MQTT: 4 is 3.1.1. @default 4 */
  readonly protocolVersion?: 4 | 5
  /** How attempts to connect are spaced: full jitter up to `base`, doubled each time up to `cap`. */
  readonly backoff?: {
    /** @default '1s' */
    readonly base?: Duration
    /** As long as presence is held for a broker that is gone. @default '15s' */
    readonly cap?: Duration
    /** Attempts in a row that may fail before the state is `stopped`. @default Infinity */
    readonly tries?: number
  }
  /** How long the broker may take to answer. @default '10s' */
  readonly connectTimeout?: Duration
  /** How long `getToken` may take. @default '30s' */
  readonly tokenTimeout?: Duration
  /** When the user is away by itself; false for never. */
  readonly away?:
    | false
    | {
        /** The page is hidden for so long. False for never. @default '1m' */
        readonly hidden?: Duration | false
        /** Nobody has touched the page for so long. False for never. @default '5m' */
        readonly idle?: Duration | false
      }
  /** Other graces for this connection, by how it ended, within the server's bound. */
  readonly grace?: Readonly<Partial<Record<Cause, Duration>>>
  /**
   * How long members are still shown, the room marked as not fresh, that are missing because the server has started
   * anew and empty: they are on their way back, as late as `backoff.cap` lets them be. Who is missing from
   * a room that the server still knows has left, and is told at once. @default '15s'
   */
  readonly settle?: Duration
  /** Where the unload hint is posted; false for nowhere. @default `unload` beside `url`, on an own broker */
  readonly unloadUrl?: string | URL | false
}

/** What the options come to. */
export interface ResolvedOptions {
  readonly session: SessionOptions
  readonly unloadUrl: string | null
}

/**
 * Fills in the defaults and checks them.
 *
 * @throws RangeError that says which option, what was expected and what came
 */
export function resolveOptions(options: PresenceOptions): ResolvedOptions {
  const { backoff = {}, away = {}, grace, broker = 'own', user } = options
  const url = new URL(options.url, location.href)
  url.protocol = url.protocol.replace(/^http/, 'ws')
  check('url', /^wss?:$/.test(url.protocol), 'a ws: or wss: address', options.url)
  check('user', user !== '', 'a name', user)
  const ms = (name: string, value: Duration): number => {
    const parsed = parseDuration(value)
    if (!parsed.ok) throw new RangeError(`${name}: ${parsed.error}`)
    return parsed.value
  }
  const orNever = (name: string, value: Duration | false): number | null =>
    value === false ? null : ms(name, value)
  const keepaliveS = Math.round(ms('keepalive', options.keepalive ?? '10s') / 1000)
  check('keepalive', keepaliveS >= 1 && keepaliveS < 65_536, '1s to 18h', options.keepalive)
  const maxTries = backoff.tries ?? Infinity
  check('backoff.tries', maxTries >= 1, 'at least 1', maxTries)
  const foreign = broker === 'foreign'
  const beside = new URL('unload', url)
  beside.protocol = beside.protocol.replace(/^ws/, 'http')
  const unloadUrl = options.unloadUrl ?? (foreign ? false : beside)
  return {
    unloadUrl: unloadUrl === false ? null : String(unloadUrl),
    session: {
      url: url.href,
      user: user ?? null,
      root: options.root ?? 'presence',
      keepaliveS,
      protocolVersion: options.protocolVersion ?? 4,
      foreign,
      usesToken: options.getToken !== undefined,
      connectTimeoutMs: ms('connectTimeout', options.connectTimeout ?? '10s'),
      tokenTimeoutMs: ms('tokenTimeout', options.tokenTimeout ?? '30s'),
      baseMs: ms('backoff.base', backoff.base ?? '1s'),
      capMs: ms('backoff.cap', backoff.cap ?? '15s'),
      maxTries,
      settleMs: ms('settle', options.settle ?? '15s'),
      awayHiddenMs: away ? orNever('away.hidden', away.hidden ?? '1m') : null,
      awayIdleMs: away ? orNever('away.idle', away.idle ?? '5m') : null,
      grace: grace
        ? Object.fromEntries(
            Object.entries(grace).map(([cause, v]) => [cause, ms(`grace.${cause}`, v)]),
          )
        : null,
    },
  }
}

function check(name: string, fine: boolean, expected: string, got: unknown): void {
  if (!fine) throw new RangeError(`${name} must be ${expected}, got ${String(got)}`)
}
