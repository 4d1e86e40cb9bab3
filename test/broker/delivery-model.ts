import { createRandom } from '../helpers/random.ts'

/** One step of a run; everything before it has been dealt with when it is taken, but for publications. */
export type Step =
  | {
      readonly kind: 'subscribe'
      readonly reader: number
      readonly filter: string
      readonly qos: Qos
    }
  | { readonly kind: 'unsubscribe'; readonly reader: number; readonly filter: string }
  | { readonly kind: 'leave'; readonly reader: number }
  | { readonly kind: 'return'; readonly reader: number }
  | { readonly kind: 'publish'; readonly from: number; readonly batch: readonly Sent[] }
  /** A client with this will is cut. */
  | { readonly kind: 'die'; readonly will: Sent }

export type Qos = 0 | 1 | 2

/** What somebody publishes. */
export interface Sent {
  readonly topic: string
  readonly qos: Qos
  readonly retain: boolean
  /** Says who published it, at which QoS, and as the how-manieth. Empty to remove what is retained. */
  readonly payload: string
}

/** What a reader is to get. */
export interface Due {
  readonly topic: string
  readonly qos: Qos
  readonly retain: boolean
  readonly payload: string
}

const TOPICS = ['a', 'a/b', 'a/', '/a', 'a/b/c', 'b'] as const
const FILTERS = ['#', '+', 'a/#', 'a/+', 'a/b', '+/+', '+/b/#', '/+', 'b', 'a/b/c', '/#'] as const

/** Whether a filter matches a topic; written as the specification puts it (4.7), not as the broker does it. */
function matches(filter: string, topic: string): boolean {
  const pattern = filter
    .split('/')
    .map((level) => (level === '+' ? '[^/]*' : level === '#' ? '.*' : level))
    .join('/')
    .replace(/\/\.\*$/, '(/.*)?')
  return new RegExp(`^${pattern}$`).test(topic)
}

/** MQTT's rules of delivery, as simply as they can be put. */
export class DeliveryModel {
  readonly #subscriptions = new Map<number, Map<string, Qos>>()
  readonly #away = new Set<number>()
  readonly #retained = new Map<string, Sent>()
  /** What each reader is to get since it was last looked at. */
  readonly due = new Map<number, Due[]>()

  subscribe(reader: number, filter: string, qos: Qos): void {
    this.#of(reader).set(filter, qos)
    for (const message of this.#retained.values()) {
      if (matches(filter, message.topic)) this.#owe(reader, message, qos, true)
    }
  }

  unsubscribe(reader: number, filter: string): void {
    this.#of(reader).delete(filter)
  }

  leave(reader: number): void {
    this.#away.add(reader)
  }

  return(reader: number): void {
    this.#away.delete(reader)
  }

  publish(message: Sent): void {
    if (message.retain && message.payload === '') this.#retained.delete(message.topic)
    else if (message.retain) this.#retained.set(message.topic, message)
    for (const [reader, subscriptions] of this.#subscriptions) {
      const granted = [...subscriptions].filter(([filter]) => matches(filter, message.topic))
      if (granted.length === 0) continue
      // Once, at the highest QoS of all matching subscriptions [MQTT-3.3.5-1].
      const qos = Math.max(...granted.map(([, each]) => each)) as Qos
      const lowered = Math.min(qos, message.qos)
      if (this.#away.has(reader) && lowered === 0) continue
      this.#owe(reader, message, qos, false)
    }
  }

  #owe(reader: number, { topic, qos, payload }: Sent, granted: Qos, retain: boolean): void {
    const list = this.due.get(reader) ?? []
    list.push({ topic, payload, retain, qos: Math.min(qos, granted) as Qos })
    this.due.set(reader, list)
  }

  #of(reader: number): Map<string, Qos> {
    const subscriptions = this.#subscriptions.get(reader) ?? new Map<string, Qos>()
    this.#subscriptions.set(reader, subscriptions)
    return subscriptions
  }
}

/** A run of random steps that a seed repeats. Readers from 0 up; the first half has persistent sessions. */
export function randomSteps(
  seed: number,
  readers: number,
  publishers: number,
  length: number,
): Step[] {
  const random = createRandom(seed)
  const away = new Set<number>()
  let count = 0
  const message = (from: string): Sent => {
    const qos = random.pick([0, 1, 2] as const)
    const payload = `${from} ${qos} ${count++}`
    return { topic: random.pick(TOPICS), qos, retain: random.chance(0.25), payload }
  }
  const emptied = (sent: Sent): Sent =>
    sent.retain && random.chance(0.2) ? { ...sent, payload: '' } : sent
  const steps: Step[] = []
  while (steps.length < length) {
    const reader = random.below(readers)
    const isAway = away.has(reader)
    const dice = random.next()
    if (dice < 0.5) {
      const from = random.below(publishers)
      const batch = Array.from({ length: 1 + random.below(8) }, () => emptied(message(`p${from}`)))
      steps.push({ kind: 'publish', from, batch })
    } else if (dice < 0.55) {
      steps.push({ kind: 'die', will: message('will') })
    } else if (dice < 0.75) {
      if (isAway) continue
      const filter = random.pick(FILTERS)
      steps.push({ kind: 'subscribe', reader, filter, qos: random.pick([0, 1, 2] as const) })
    } else if (dice < 0.82) {
      if (!isAway) steps.push({ kind: 'unsubscribe', reader, filter: random.pick(FILTERS) })
    } else if (reader < readers / 2) {
      if (isAway) away.delete(reader)
      else away.add(reader)
      steps.push({ kind: isAway ? 'return' : 'leave', reader })
    }
  }
  for (const reader of away) steps.push({ kind: 'return', reader })
  return steps
}
