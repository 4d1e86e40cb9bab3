import type { PacketReader } from '../packet-reader.ts'

/** User properties as mqtt-packet has them: a value for each name, a list where a name comes again. */
export type UserProperties = Record<string, string | string[]>

/** One of them, as it stands in a packet. */
export type UserProperty = readonly [name: string, value: string]

/** Where an object keeps the order, which its names do not tell. */
const ORDER = Symbol('order')

interface Ordered {
  [ORDER]?: UserProperty[]
}

/** Reads one more user property. */
export function readUserProperty(
  reader: PacketReader,
  all: UserProperties | undefined,
): UserProperties {
  const name = reader.text()
  const value = reader.text()
  if (!all) return begin(name, value)
  const before = all[name]
  if (before === undefined) all[name] = value
  else if (Array.isArray(before)) before.push(value)
  else all[name] = [before, value]
  ;(all as Ordered)[ORDER]?.push([name, value])
  return all
}

/** Takes out the properties of one name; returns the first of their values. */
export function takeUserProperty(all: UserProperties, name: string): string | undefined {
  const values = all[name]
  if (values === undefined) return undefined
  delete all[name]
  const ordered = (all as Ordered)[ORDER]
  if (ordered) ordered.splice(0, Infinity, ...ordered.filter(([each]) => each !== name))
  return [values].flat()[0]
}

/** All of them, in the order in which they came [MQTT-3.3.2-18]; by name when an embedder has made them. */
export function listUserProperties(all: UserProperties): readonly UserProperty[] {
  const ordered = (all as Ordered)[ORDER]
  if (ordered) return ordered
  return Object.entries(all).flatMap(([name, values]) =>
    [values].flat().map((value) => [name, value] as const),
  )
}

function begin(name: string, value: string): UserProperties {
  // Without a prototype: the name may be `__proto__`.
  const all = Object.create(null) as UserProperties
  all[name] = value
  // Not to be seen by who looks at the names.
  Object.defineProperty(all, ORDER, { value: [[name, value]] satisfies UserProperty[] })
  return all
}
