import type { Json, Member } from '../../../protocol/index.ts'

/** A member as text that is equal when the members are: scripts compare texts. */
export function formatMember({ user, status, since, data }: Member): string {
  return JSON.stringify({ user, status, since, data: sortKeys(data) })
}

function sortKeys(value: Json): Json {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  // Without a prototype: a key may be called __proto__.
  const sorted: Record<string, Json> = Object.create(null)
  for (const [key, member] of entries) sorted[key] = sortKeys(member)
  return sorted
}
