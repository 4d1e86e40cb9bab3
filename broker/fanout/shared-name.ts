import { isShared, isSharedFilter } from '../gate/topics.ts'

/*
 * Aedes refuses every filter that starts with `$share/`, and stumbles over `__proto__` among other filters.
 * So it is shown other names for them, which begin with a character that no filter of a client can have
 * [MQTT-1.5.4-2].
 */
const SHARE = '$share/'
const SHOWN = '\u0000share/'
const PROTO = '__proto__'
const SHOWN_PROTO = `\u0000${PROTO}`

/** The name under which Aedes and the store know a filter: mostly its own. */
export function toShownName(filter: string): string {
  if (filter === PROTO) return SHOWN_PROTO
  const isNamed = isShared(filter) && isSharedFilter(filter)
  return isNamed ? SHOWN + filter.slice(SHARE.length) : filter
}

/** Whether a name stands for a shared filter. */
export function isSharedName(name: string): boolean {
  return name.startsWith(SHOWN)
}

/** The topic filter of a name; for a shared one, what stands behind the name of its group. */
export function filterOf(name: string): string {
  if (name === SHOWN_PROTO) return PROTO
  return isSharedName(name) ? name.slice(name.indexOf('/', SHOWN.length) + 1) : name
}
