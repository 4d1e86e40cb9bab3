import { randomUUID } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import mqtt from 'mqtt'
import {
  createTopics,
  parseRoomDiff,
  parseRoomSnapshot,
  type Json,
  type RoomDiff,
  type RoomSnapshot,
} from '../../protocol/index.ts'
import { urlOf, type Address } from './connect-options.ts'
import { connectClient } from './mqtt.ts'
import { onTeardown } from './teardown.ts'
import { within } from './within.ts'

/** A message as a reader got it. */
export interface Message {
  readonly topic: string
  readonly text: string
  readonly retain: boolean
  /** When it arrived, by `performance.now()`. */
  readonly at: number
}

/** Which message: on this topic, or whatever a function says. */
type Match = string | ((message: Message) => boolean)

/** Somebody who reads presence and is not present: everything that arrives is kept. */
export interface Reader {
  /** In the order of arrival; without the topics of those who came for `caughtUp`. */
  readonly messages: readonly Message[]
  /**
   * The next message that matches, beginning behind the last one that `next` gave; what lies between
   * is skipped.
   */
  next(match: Match, withinMs?: number): Promise<Message>
  /** The first message of all that matches. */
  find(match: Match, withinMs?: number): Promise<Message>
  /** The payload that a topic had last; undefined when nothing came or it was cleared. */
  last(topic: string): string | undefined
  /**
   * Resolves when everything that was published before has come through the bridge to this reader: a
   * user who connects now, and joins the rooms, has been seen by it.
   */
  caughtUp(rooms?: readonly string[]): Promise<void>
  subscribe(filter: string): Promise<void>
  close(): Promise<void>
}

/** How long a reader waits for what should come at once, in milliseconds. */
const AT_ONCE_MS = 5000

/** Starts to read, with a token where one is asked for. Resolves when the subscription is acknowledged. */
export async function watch(
  address: Address,
  filters: string | readonly string[],
  qos: 0 | 1 = 0,
  token?: string,
): Promise<Reader> {
  const client = mqtt.connect(urlOf(address, 'tcp'), {
    // A client that lets the broker make up its id, and gives no name, is nobody.
    clientId: '',
    clean: true,
    protocolVersion: 5,
    reconnectPeriod: 0,
    ...(token !== undefined && { username: 'reader', password: token }),
  })
  const messages: Message[] = []
  const latest = new Map<string, string>()
  const waiting = new Set<() => void>()
  const markers = `marker-${randomUUID()}`
  const seenMarkers = new EventEmitter()
  let cursor = 0

  client.on('message', (topic, payload, { retain }) => {
    if (topic.includes(markers)) return void seenMarkers.emit(topic)
    const text = payload.toString()
    messages.push({ topic, text, retain, at: performance.now() })
    if (text === '') latest.delete(topic)
    else latest.set(topic, text)
    for (const look of waiting) look()
  })
  client.on('error', () => {})
  onTeardown(() => client.endAsync(true))
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => resolve())
    client.once('error', reject)
  })
  await client.subscribeAsync(typeof filters === 'string' ? filters : [...filters], { qos })

  function search(match: Match, start: number, withinMs: number): Promise<number> {
    const fits = typeof match === 'string' ? (m: Message) => m.topic === match : match
    let from = start
    return new Promise((resolve, reject) => {
      const look = (): void => {
        for (; from < messages.length; from++) {
          const message = messages[from]
          if (!message || !fits(message)) continue
          clearTimeout(timer)
          waiting.delete(look)
          resolve(from)
          return
        }
      }
      const timer = setTimeout(() => {
        waiting.delete(look)
        reject(
          new Error(
            `expected within ${withinMs} ms: ${String(match)}; got ${describeTail(messages)}`,
          ),
        )
      }, withinMs)
      waiting.add(look)
      look()
    })
  }

  async function at(index: number): Promise<Message> {
    const message = messages[index]
    if (!message) throw new Error(`no message ${index}`)
    return message
  }

  return {
    messages,
    async next(match, withinMs = AT_ONCE_MS) {
      const index = await search(match, cursor, withinMs)
      cursor = index + 1
      return at(index)
    },
    find: async (match, withinMs = AT_ONCE_MS) => at(await search(match, 0, withinMs)),
    last: (topic) => latest.get(topic),
    async caughtUp(rooms = []) {
      const user = `${markers}-${randomUUID()}`
      const topicsToSee = [
        topics.userStatus(user),
        ...rooms.map((room) => topics.member(room, user)),
      ]
      await client.subscribeAsync(topicsToSee, { qos })
      const seen = within(
        AT_ONCE_MS,
        'the marker came through',
        Promise.all(topicsToSee.map((topic) => once(seenMarkers, topic))),
      )
      const marker = await connectClient(address, { user })
      if (rooms.length > 0) {
        const places = Object.fromEntries(rooms.map((room) => [room, null]))
        await marker.say({ status: 'online', rooms: places })
      }
      await seen
      await marker.leave()
    },
    subscribe: async (filter) => void (await client.subscribeAsync(filter, { qos })),
    close: () => client.endAsync(),
  }
}

const topics = createTopics()

/** No further retained message for this long is the end of them, in milliseconds. */
const QUIET_MS = 150

/**
 * What is retained on some filters now, by topic. MQTT does not tell when all of them have come, nor
 * does it order them with others; so a short silence after a message of somebody else has to do.
 */
export async function readRetained(
  address: Address,
  ...filters: string[]
): Promise<ReadonlyMap<string, string>> {
  const reader = await watch(address, filters)
  const marker = `marker/${randomUUID()}`
  await reader.subscribe(marker)
  const writer = await connectClient(address, { clientId: '' })
  await writer.publish(marker, '')
  await reader.next(marker)
  for (let seen = -1; seen < reader.messages.length;) {
    seen = reader.messages.length
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS))
  }
  await Promise.all([writer.leave(), reader.close()])
  const kept = reader.messages.filter(({ retain }) => retain)
  return new Map(kept.map(({ topic, text }) => [topic, text]))
}

/** A message's payload as JSON. */
export function json({ text }: Pick<Message, 'text'>): Record<string, Json> {
  return JSON.parse(text) as Record<string, Json>
}

/** The snapshot that a message brings; fails when it brings none. */
export function snapshotIn({ text }: Pick<Message, 'text'>): RoomSnapshot {
  return parseRoomSnapshot(text) ?? fail(`expected a snapshot, got ${text}`)
}

/** The diff that a message brings; fails when it brings none. */
export function diffIn({ text }: Pick<Message, 'text'>): RoomDiff {
  return parseRoomDiff(text) ?? fail(`expected a diff, got ${text}`)
}

function fail(message: string): never {
  throw new Error(message)
}

/** Matches the document that says that a user is offline. */
export function isOffline(user: string): (message: Message) => boolean {
  return (message) => message.topic === topics.user(user) && json(message)['status'] === 'offline'
}

function describeTail(messages: readonly Message[]): string {
  const tail = messages.slice(-8).map(({ topic, text }) => `${topic} ${text.slice(0, 120)}`)
  return `${messages.length} messages, at last\n  ${tail.join('\n  ')}`
}
