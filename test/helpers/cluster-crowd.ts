import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import { createTopics, parseRoomDiff, parseTopic } from '../../protocol/index.ts'
import { onTeardown } from './teardown.ts'

const topics = createTopics()

/** The ports of the brokers that there are now. */
type Ports = () => readonly number[]

/** Somebody in the lobby, who connects again, to the next broker, when a connection is lost. */
export interface Visitor {
  readonly user: string
  readonly client: MqttClient
  readonly isConnected: boolean
  /** Connections that ended without the visitor's doing. */
  readonly losses: number
  /** Loses the connection. */
  cut(): void
  /** Is not to come back when the connection is lost. */
  giveUp(): void
  leave(): Promise<void>
}

/** How a visitor comes. */
export interface VisitorOptions {
  readonly user: string
  readonly ports: Ports
  /** The place in that list of the broker to begin with. */
  readonly first: number
  readonly connect?: IClientOptions
  /** How long it stays away after a loss, in milliseconds. @default 100 */
  readonly awayMs?: number
}

/** Connects somebody, who is in the lobby when this resolves. */
export async function connectVisitor(options: VisitorOptions): Promise<Visitor> {
  const { user, ports, awayMs = 100 } = options
  const document = JSON.stringify({ status: 'online', rooms: { lobby: {} } })
  let { first: place } = options
  let isStaying = true
  let losses = 0
  let client: MqttClient

  async function connect(): Promise<void> {
    const all = ports()
    const port = all[place % all.length] ?? 0
    client = mqtt.connect({
      host: '127.0.0.1',
      port,
      clientId: `${user}-phone`,
      username: user,
      protocolVersion: 5,
      reconnectPeriod: 0,
      connectTimeout: 3000,
      ...options.connect,
    })
    const mine = client
    mine.on('error', () => {})
    mine.once('close', () => void lost())
    await new Promise<void>((resolve) => {
      mine.once('connect', () => resolve())
      mine.once('close', () => resolve())
    })
    if (mine.connected) {
      await mine
        .publishAsync(topics.connection(user, `${user}-phone`), document, { qos: 1 })
        .catch(() => {})
    }
  }

  async function lost(): Promise<void> {
    if (!isStaying) return
    losses++
    place++
    await new Promise((resolve) => setTimeout(resolve, awayMs))
    if (isStaying) await connect()
  }

  onTeardown(async () => {
    isStaying = false
    await client.endAsync(true)
  })
  await connect()
  return {
    user,
    get client() {
      return client
    },
    get isConnected() {
      return client.connected
    },
    get losses() {
      return losses
    },
    cut: () => void client.stream.destroy(),
    giveUp() {
      isStaying = false
    },
    async leave() {
      isStaying = false
      await client.endAsync()
    },
  }
}

/** Somebody who watches by one broker, and begins again when it was gone. */
export interface Observer {
  /** When a user was first shown to be offline, by `performance.now()`. */
  readonly offlineAt: ReadonlyMap<string, number>
  /** Who has come to the lobby, or gone, in order. */
  readonly moves: readonly string[]
  /** Forgets what was shown so far, but not the present state. */
  forget(): void
  /** How the present state differs from what is wanted. */
  differences(online: readonly string[], offline: readonly string[]): readonly string[]
}

/** Starts to watch users and the lobby. */
export async function observe(port: number): Promise<Observer> {
  const offlineAt = new Map<string, number>()
  const moves: string[] = []
  const retained = new Map<string, string>()
  const client = mqtt.connect({
    host: '127.0.0.1',
    port,
    clientId: '',
    protocolVersion: 5,
    reconnectPeriod: 200,
  })
  onTeardown(() => client.endAsync(true))
  client.on('error', () => {})
  client.on('connect', () => retained.clear())
  client.on('message', (topic, payload) => {
    const text = payload.toString()
    const parsed = parseTopic('presence', topic)
    if (parsed?.kind === 'roomEvents') {
      const { joined = [], left = [] } = parseRoomDiff(text) ?? {}
      for (const { user } of joined) moves.push(`${user} joined`)
      for (const { user } of left) moves.push(`${user} left`)
      return
    }
    if (parsed?.kind === 'userStatus' && text === 'offline' && !offlineAt.has(parsed.user)) {
      offlineAt.set(parsed.user, performance.now())
    }
    if (text === '') retained.delete(topic)
    else retained.set(topic, text)
  })
  await client.subscribeAsync(['presence/users/#', 'presence/rooms/lobby/#'], { qos: 1 })
  return {
    offlineAt,
    moves,
    forget() {
      offlineAt.clear()
      moves.length = 0
    },
    differences(online, offline) {
      const found: string[] = []
      const wanted = [
        ...online.map((user) => [user, 'online'] as const),
        ...offline.map((user) => [user, 'offline'] as const),
      ]
      for (const [user, status] of wanted) {
        const got = retained.get(topics.userStatus(user))
        if (got !== status) found.push(`${user}: expected ${status}, got ${got}`)
      }
      const lobby = JSON.parse(retained.get(topics.room('lobby')) ?? '{"members":[]}') as {
        readonly members: readonly { readonly user: string }[]
      }
      const here = lobby.members.map(({ user }) => user).toSorted()
      const missing = online.filter((user) => !here.includes(user))
      const ghosts = here.filter((user) => !online.includes(user))
      if (missing.length > 0) found.push(`not in the lobby: ${missing.join()}`)
      if (ghosts.length > 0) found.push(`in the lobby: ${ghosts.join()}`)
      return found
    },
  }
}
