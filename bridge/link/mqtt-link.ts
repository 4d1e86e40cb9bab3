import { randomUUID } from 'node:crypto'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import { createTopics } from '../../protocol/index.ts'
import { silentLogger, type Logger } from '../../runtime/logger.ts'
import type { Link, LinkHandlers, LinkMessage } from './link.ts'
import { readRetained } from './read-retained.ts'

/** Options of {@link connectMqttLink}. */
export interface MqttLinkOptions {
  /** `mqtt://`, `mqtts://`, `ws://` or `wss://`, with or without `user:password@`. */
  readonly url: string
  readonly username?: string
  readonly password?: string
  /** The MQTT client id: the same at every start, since the broker keeps the bridge's session by it. */
  readonly clientId: string
  /** The prefix of all topics. @default 'presence' */
  readonly root?: string
  /** How long the first connection may take, in milliseconds. @default 10000 */
  readonly connectTimeoutMs?: number
  /** How long the broker keeps the session of an absent bridge, in seconds. @default 86400 */
  readonly sessionExpirySeconds?: number
  /** @default silent */
  readonly logger?: Logger
}

/** How often a lost connection is tried again, in milliseconds. */
const RECONNECT_MS = 1000

/** Version 5 reason code: somebody else has the client id now. */
const TAKEN_OVER = 0x8e

/** How long a close waits for what was published to be confirmed, in milliseconds. */
const CLOSE_WITHIN_MS = 1500

/** Where Mosquitto and others say for how long they have been running, as `15 seconds`. */
const UPTIME = '$SYS/broker/uptime'

/** The keepalive of the link, in seconds. */
const KEEPALIVE = 10

/**
 * A link to any MQTT 5 broker over a socket, with a persistent QoS 1 session: what is published
 * while the bridge is away is kept for it. Its will says on the bridge's status topic that
 * presence is no longer fresh.
 *
 * @throws when the broker cannot be reached or refuses
 */
export async function connectMqttLink(options: MqttLinkOptions): Promise<Link> {
  const { url, clientId, root = 'presence', logger = silentLogger } = options
  const { connectTimeoutMs = 10_000, sessionExpirySeconds = 86_400 } = options
  const common: IClientOptions = {
    protocolVersion: 5,
    keepalive: KEEPALIVE,
    connectTimeout: connectTimeoutMs,
    ...(options.username !== undefined && { username: options.username }),
    ...(options.password !== undefined && { password: options.password }),
  }
  // Tells whether the broker is there at all, before a bridge is built on it.
  await withClient(url, { ...common, ...passing(clientId) }, async () => {})
  let client: MqttClient | undefined
  let closed = false

  function read(filters: readonly string[]): Promise<readonly LinkMessage[]> {
    return withClient(url, { ...common, ...passing(clientId) }, (reader) =>
      readRetained(reader, filters, `${root}/bridge/sync/${randomUUID()}`),
    )
  }

  async function open(filters: readonly string[], handlers: LinkHandlers): Promise<void> {
    const session = mqtt.connect(url, {
      ...common,
      clientId,
      clean: false,
      properties: { sessionExpiryInterval: sessionExpirySeconds },
      will: {
        topic: createTopics(root).bridgeStatus,
        payload: Buffer.from('offline'),
        qos: 1,
        retain: true,
      },
      reconnectPeriod: RECONNECT_MS,
      resubscribe: false,
      manualConnect: true,
    })
    client = session
    let isUp = false
    /** Counts what begins and ends of them. */
    let connections = 0
    /** Whether the bridge was told that the link is up: not if it was gone again by then. */
    let told = Promise.resolve(false)
    /** For how long the broker had been running when it last said so, in seconds. */
    let uptime = 0
    const firstUp = new Promise<void>((resolve, reject) => {
      session.on('connect', ({ sessionPresent }) => {
        told = up(sessionPresent)
        // Without it one works on as before.
        session.subscribe(UPTIME, { qos: 0 }, () => {})
        comeUp(session).then(resolve, (error: Error) => {
          reject(error)
          logger.warn({ error: String(error) }, 'could not subscribe; trying again')
          session.reconnect()
        })
      })
      session.once('error', reject)
    })
    session.on('close', onClose)
    session.on('disconnect', ({ reasonCode }) => {
      if (reasonCode !== TAKEN_OVER) return
      const words =
        'another bridge has the same id and takes the place of this one: each needs its own'
      logger.warn({ clientId }, words)
    })
    session.on('error', (error) => logger.debug({ error: error.message }, 'link error'))
    // The acknowledgement goes out when the message has been dealt with, so that a bridge that dies
    // before gets it again. It waits for `told`, not for SUBACK, which may come after messages.
    session.handleMessage = ({ topic, payload, retain }, acknowledge) => {
      const message = { topic, payload: Buffer.from(payload), retain }
      if (topic === UPTIME) {
        uptime = secondsOf(message) ?? uptime
        return acknowledge()
      }
      told
        .then((isTold) => (isTold ? handlers.onMessage(message) : undefined))
        .then(() => acknowledge(), acknowledge)
    }
    session.connect()
    await firstUp

    async function comeUp(to: MqttClient): Promise<void> {
      await told
      // A resumed session has its subscriptions, but a broker keeps nothing for it that was published
      // with QoS 0, as many devices publish their availability: what they retained comes once more.
      await to.subscribeAsync([...filters], { qos: 1 })
    }

    async function up(hasSession: boolean): Promise<boolean> {
      const mine = ++connections
      const resumed = hasSession && !(await wasRestarted())
      // It may have gone again meanwhile.
      if (mine !== connections) return false
      isUp = true
      await handlers.onUp(resumed)
      return true
    }

    /**
     * Whether the broker has been started since: it may have kept the session, but who was connected is not, and
     * the wills of those were not published if it was killed.
     */
    async function wasRestarted(): Promise<boolean> {
      const before = uptime
      if (before === 0) return false
      const [said] = await read([UPTIME]).catch(() => [])
      const now = said && secondsOf(said)
      return now !== undefined && now < before
    }

    function onClose(): void {
      connections++
      if (!isUp) return
      isUp = false
      if (!closed) handlers.onDown()
    }
  }

  return {
    readRetained: read,
    open,
    async publish(topic, payload, { retain, version }) {
      if (!client?.connected) throw new Error('the link is down')
      const properties = version !== undefined && {
        properties: { userProperties: { version: String(version) } },
      }
      await client.publishAsync(topic, payload, { qos: 1, retain, ...properties })
    },
    async close() {
      if (closed) return
      closed = true
      if (!client) return
      // What was published is given a moment to arrive; a broker that is away never confirms it.
      const end = client.endAsync(!client.connected)
      const timer = setTimeout(() => client?.end(true), CLOSE_WITHIN_MS)
      await end.finally(() => clearTimeout(timer))
    },
  }
}

function secondsOf({ payload }: LinkMessage): number | undefined {
  const [digits] = /^\d+/.exec(new TextDecoder().decode(payload)) ?? []
  return digits === undefined ? undefined : Number(digits)
}

/** A connection of its own for one short task, which leaves nothing behind. */
function passing(clientId: string): IClientOptions {
  return { clientId: `${clientId}-${randomUUID().slice(0, 8)}`, clean: true, reconnectPeriod: 0 }
}

async function withClient<T>(
  url: string,
  options: IClientOptions,
  run: (client: MqttClient) => Promise<T>,
): Promise<T> {
  const client = mqtt.connect(url, options)
  try {
    const failed = new Promise<never>((_, reject) => {
      client.once('error', reject)
      client.once('close', () => reject(new Error('the broker closed the connection')))
    })
    const connected = new Promise<void>((resolve) => client.once('connect', () => resolve()))
    await Promise.race([connected, failed])
    return await Promise.race([run(client), failed])
  } finally {
    await client.endAsync(true)
  }
}
