import { setImmediate as afterReads } from 'node:timers/promises'
import type { Topics } from '../protocol/index.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Link } from './link/link.ts'

/**
 * Finds out whether everything that brokers have acknowledged has come here, before anything is concluded from
 * silence: a broker that is stuck, or on whose way something is, may have taken back somebody whose grace ends now. What a
 * broker has acknowledged comes here before its answer to a ping that was sent later.
 */
export interface Witness {
  /**
   * Sends a ping and waits for the answers.
   *
   * @returns who has not answered (null: the broker that the link leads to), or did so late a moment ago: what
   *   happened there is not known
   */
  ask(): Promise<ReadonlySet<string | null>>
  /** A broker beats; with the ping that it answers. */
  heard(broker: string, ping: string | undefined): void
  /** A ping has come back by the link. */
  echoed(ping: string): void
  /** The link is up: what was asked before will not be answered. */
  restart(): void
}

/** Options of {@link createWitness}. */
export interface WitnessOptions {
  /** The bridge. */
  readonly id: string
  readonly link: Link
  readonly topics: Topics
  readonly clock: Clock
  /** The brokers that beat. */
  readonly beating: () => Iterable<string>
}

/** Who has not answered for so long is stuck, in milliseconds. */
const PATIENCE_MS = 1000

/** How long who was stuck may need to tell what it has to say, in milliseconds. */
const TELL_MS = 1500

/** How often those are asked that are stuck, in milliseconds. */
const AGAIN_MS = 200

/** Pings that may still be answered. */
const MAX_PINGS = 50

/** What is known of one that is asked. */
interface Asked {
  /** Whether it has ever answered: who cannot is not waited for. */
  canAnswer: boolean
  isStuck: boolean
  tellsUntil: number
}

interface Ping {
  /** Who has not answered it. */
  readonly waitsFor: Set<string | null>
  /** Somebody has answered, or nobody can. */
  readonly notice: (isHopeless: boolean) => void
  /** Resolves when all have answered who are not stuck, or when it could not be sent. */
  readonly over: Promise<void>
}

/** Creates it. */
export function createWitness({ id, link, topics, clock, beating }: WitnessOptions): Witness {
  const asked = new Map<string | null, Asked>()
  const pings = new Map<string, Ping>()
  let count = 0
  let sentAt = -Infinity

  function knownOf(broker: string | null): Asked {
    let known = asked.get(broker)
    if (!known) asked.set(broker, (known = { canAnswer: false, isStuck: false, tellsUntil: 0 }))
    return known
  }

  function send(brokers: Iterable<string | null>): Ping {
    const name = `${id}-${++count}`
    sentAt = clock.now()
    const ping = createPing(brokers)
    pings.set(name, ping)
    const [oldest] = pings.keys()
    if (pings.size > MAX_PINGS && oldest !== undefined) pings.delete(oldest)
    link
      .publish(topics.ping, JSON.stringify({ ping: name }), { retain: false })
      .catch(() => ping.notice(true))
    return ping
  }

  function createPing(brokers: Iterable<string | null>): Ping {
    const waitsFor = new Set(brokers)
    let finish = (): void => {}
    const over = new Promise<void>((resolve) => (finish = resolve))
    const notice = (isHopeless: boolean): void => {
      if (isHopeless || ![...waitsFor].some((broker) => isWaitedFor(knownOf(broker)))) finish()
    }
    notice(false)
    return { waitsFor, notice, over }
  }

  /** Those who are there, without what is known of others. */
  function present(): readonly (string | null)[] {
    const there = new Set<string | null>([null, ...beating()])
    for (const broker of asked.keys()) if (!there.has(broker)) asked.delete(broker)
    return [...there]
  }

  function answered(broker: string | null, name: string | undefined): void {
    const ping = name === undefined ? undefined : pings.get(name)
    if (!ping?.waitsFor.delete(broker)) return
    const known = knownOf(broker)
    known.canAnswer = true
    if (known.isStuck) known.tellsUntil = clock.now() + TELL_MS
    known.isStuck = false
    ping.notice(false)
    if (ping.waitsFor.size === 0) pings.delete(name ?? '')
  }

  async function inTime({ notice, over }: Ping): Promise<void> {
    const cancel = clock.after(PATIENCE_MS, () => notice(true))
    await over
    cancel()
    // What has come while this process was busy.
    await afterReads()
  }

  return {
    async ask() {
      const there = present()
      const able = there.filter((broker) => knownOf(broker).canAnswer)
      if (able.length > 0 && able.every((broker) => knownOf(broker).isStuck)) {
        if (clock.now() - sentAt >= AGAIN_MS) send(there)
        return new Set(able)
      }
      const ping = send(there)
      await inTime(ping)
      for (const broker of able) if (ping.waitsFor.has(broker)) knownOf(broker).isStuck = true
      const now = clock.now()
      return new Set(
        able.filter((broker) => ping.waitsFor.has(broker) || now < knownOf(broker).tellsUntil),
      )
    },
    heard(broker, ping) {
      if (!asked.has(broker)) {
        knownOf(broker)
        send([null, broker])
      }
      answered(broker, ping)
    },
    echoed: (ping) => answered(null, ping),
    restart() {
      asked.clear()
      pings.clear()
    },
  }
}

function isWaitedFor({ canAnswer, isStuck }: Asked): boolean {
  return canAnswer && !isStuck
}
