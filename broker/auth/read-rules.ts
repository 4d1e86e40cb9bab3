import { escapeId, parseTopic, unescapeId } from '../../protocol/index.ts'
import { overlap } from './app-topics.ts'
import type { Grant } from './grant.ts'

/** Whether a topic is below the presence root, or the root itself. */
export function isBelow(root: string, topic: string): boolean {
  return topic === root || topic.startsWith(`${root}/`)
}

/**
 * Whether somebody may read a topic. Every message passes here on its way to a reader: live, retained, or
 * kept for a session. That is why a filter with wildcards needs no cutting down.
 */
export function mayRead(root: string, topic: string, grant: Grant): boolean {
  if (topic.startsWith('$')) return grant.isAdmin || (grant.readsAll && topic.startsWith('$SYS/'))
  if (!isBelow(root, topic)) return grant.app.mayUse(topic)
  if (grant.readsAll) return true
  const parsed = parseTopic(root, topic)
  switch (parsed?.kind) {
    case 'user':
    case 'userStatus':
      return grant.maySee(parsed.user)
    case 'room':
    case 'roomCount':
    case 'roomEvents':
    case 'member':
      return grant.mayWatch(parsed.room)
    case 'bridgeStatus':
    case 'rollcall':
      return true
    case 'connection':
      return parsed.user === grant.user && parsed.client === grant.client
    // What bridges and brokers keep for themselves has everybody in it.
    case 'bridge':
    case 'bridgeState':
    case 'broker':
    case 'ping':
    case undefined:
      return false
  }
}

/** One level of a shape of topics: literally this, or an id that is judged. */
type Level = string | ((id: string | undefined) => boolean)

/**
 * Whether a filter can match anything that its subscriber may read. One that cannot is refused, so that
 * whoever asks for too much is told; one that can is granted and gets what may be read.
 */
export function maySubscribe(root: string, filter: string, grant: Grant): boolean {
  if (filter.startsWith('$share/')) return false
  if (filter.startsWith('$')) return filter.startsWith('$SYS/') && grant.readsAll
  const levels = filter.split('/')
  if (grant.readsAll && overlap(levels, [...root.split('/'), '#'])) return true
  if (shapesOf(grant).some((shape) => matchesShape(levels, [...root.split('/'), ...shape]))) {
    return true
  }
  // A filter with wildcards may reach below the root and beside it.
  return !isBelow(root, filter) && grant.app.mayMatch(filter)
}

/** The topics below the root that somebody may read. */
function shapesOf(grant: Grant): readonly (readonly Level[])[] {
  const room: Level = (id) => (id === undefined ? grant.watchesAny : grant.mayWatch(id))
  const user: Level = (id) => id === undefined || grant.maySee(id)
  const any: Level = () => true
  return [
    ['users', user],
    ['users', user, 'status'],
    ['rooms', room],
    ['rooms', room, 'count'],
    ['rooms', room, 'events'],
    ['rooms', room, 'members', any],
    ['connections', escapeId(grant.user), escapeId(grant.client)],
    ['bridge', 'status'],
    ['rollcall'],
  ]
}

function matchesShape(filter: readonly string[], shape: readonly Level[]): boolean {
  for (const [depth, level] of shape.entries()) {
    const asked = filter[depth]
    if (asked === undefined) return false
    if (asked === '#') {
      // Whatever is below: all the judged levels from here on have to be possible.
      return shape.slice(depth).every((rest) => typeof rest === 'string' || rest(undefined))
    }
    if (typeof level === 'string') {
      if (asked !== '+' && asked !== level) return false
    } else if (asked === '+') {
      if (!level(undefined)) return false
    } else {
      const id = unescapeId(asked)
      if (id === undefined || !level(id)) return false
    }
  }
  return (
    filter.length === shape.length || (filter.length === shape.length + 1 && filter.at(-1) === '#')
  )
}
