import { escapeId } from '../../protocol/index.ts'

/**
 * What clients may do with topics outside the presence root: everything, nothing, or what matches a filter.
 * In filters `{user}` and `{client}` stand for the client's own: `devices/{client}/#`.
 */
export type AppTopics = 'allow' | 'deny' | readonly string[]

/** The topics outside the root that one client may use. */
export interface AppAccess {
  mayUse(topic: string): boolean
  /** Whether a filter can match anything that it may use. */
  mayMatch(filter: string): boolean
}

/** Makes the operator's word on application topics one client's. */
export function createAppAccess(topics: AppTopics, user: string, client: string): AppAccess {
  if (topics === 'allow') return { mayUse: () => true, mayMatch: () => true }
  if (topics === 'deny') return { mayUse: () => false, mayMatch: () => false }
  const filters = topics.map((filter) =>
    filter
      .replaceAll('{user}', () => escapeId(user))
      .replaceAll('{client}', () => escapeId(client))
      .split('/'),
  )
  return {
    mayUse: (topic) => filters.some((filter) => overlap(filter, topic.split('/'))),
    mayMatch: (asked) => filters.some((filter) => overlap(filter, asked.split('/'))),
  }
}

/** Whether there is a topic that both filters match [MQTT-4.7]. */
export function overlap(one: readonly string[], other: readonly string[]): boolean {
  for (let depth = 0; ; depth++) {
    const a = one[depth]
    const b = other[depth]
    if (a === '#' || b === '#') return true
    // `sport/#` includes `sport` [MQTT-4.7.1-2].
    if (a === undefined) return b === undefined || isRest(other, depth)
    if (b === undefined) return isRest(one, depth)
    if (a !== b && a !== '+' && b !== '+') return false
  }
}

function isRest(levels: readonly string[], depth: number): boolean {
  return levels[depth] === '#' && levels.length === depth + 1
}
