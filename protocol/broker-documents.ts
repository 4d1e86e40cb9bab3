import { isJsonObject, parseJson } from './json.ts'
import { isValidId } from './topics.ts'

/** A broker's heartbeat on `presence/brokers/{id}`, not retained. */
export interface BrokerHeartbeat {
  readonly broker: string
  /** `closing` says that the connections that end now do not end by their clients' will. */
  readonly status: 'up' | 'closing'
  readonly connections: number
  /** How often the broker beats, in milliseconds. */
  readonly intervalMs: number
  /** Ends a roll call: every live connection has been announced since that call. */
  readonly rollcall?: string
  /** Answers a ping: everything that was acknowledged before has been published. */
  readonly ping?: string
}

/** A bridge's request on `presence/rollcall`. */
export interface RollCall {
  /** Comes back in the heartbeat that ends the answer. */
  readonly rollcall: string
}

/** A bridge's request on `presence/ping`. */
export interface Ping {
  /** Comes back in the heartbeat that answers. */
  readonly ping: string
}

/** Parses a heartbeat; undefined when it is none. */
export function parseBrokerHeartbeat(text: string): BrokerHeartbeat | undefined {
  const json = parseJson(text, 4)
  if (!json.ok || !isJsonObject(json.value)) return undefined
  const { broker, status, connections, intervalMs, rollcall, ping } = json.value
  const fine =
    typeof broker === 'string' &&
    isValidId(broker) &&
    (status === 'up' || status === 'closing') &&
    Number.isSafeInteger(connections) &&
    typeof intervalMs === 'number' &&
    intervalMs > 0 &&
    [rollcall, ping].every((name) => name === undefined || isName(name))
  return fine ? (json.value as unknown as BrokerHeartbeat) : undefined
}

/** Parses a roll call; a payload that is none still calls the roll, without an id to answer to. */
export function parseRollCall(text: string): RollCall | undefined {
  const json = parseJson(text, 4)
  if (!json.ok || !isJsonObject(json.value)) return undefined
  const { rollcall } = json.value
  return isName(rollcall) ? { rollcall } : undefined
}

/** Parses a ping; undefined when it is none. */
export function parsePing(text: string): Ping | undefined {
  const json = parseJson(text, 4)
  if (!json.ok || !isJsonObject(json.value)) return undefined
  const { ping } = json.value
  return isName(ping) ? { ping } : undefined
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && isValidId(value)
}
