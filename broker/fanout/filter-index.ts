/**
 * Which subscribers' filters match a topic, by the rules of MQTT 4.7.
 *
 * A tree by topic level: the work of a match grows with the filters that share the topic's beginning,
 * not with the number of filters.
 */
export interface FilterIndex<T> {
  /** Adds a value under a filter; adding it again changes nothing. */
  add(filter: string, value: T): void
  /** Removes a value from a filter; removing what is not there changes nothing. */
  remove(filter: string, value: T): void
  /** One set for each matching filter. The sets are live: what is removed later leaves them. */
  match(topic: string): ReadonlySet<T>[]
}

interface Level<T> {
  /** Deeper levels by their literal name; an empty name is a level like any other [MQTT-4.7.3-1]. */
  readonly named: Map<string, Level<T>>
  /** The deeper level `+`. */
  any: Level<T> | undefined
  /** Values of the filter that ends here. */
  here: Set<T> | undefined
  /** Values of the filter that ends here with `#`, which includes the level itself [MQTT-4.7.1-2]. */
  below: Set<T> | undefined
}

/** Creates an empty index. */
export function createFilterIndex<T>(): FilterIndex<T> {
  const root = createLevel<T>()
  return {
    add(filter, value) {
      const levels = filter.split('/')
      const endsInHash = levels.at(-1) === '#'
      if (endsInHash) levels.pop()
      let level = root
      for (const name of levels) level = deeper(level, name)
      if (endsInHash) (level.below ??= new Set()).add(value)
      else (level.here ??= new Set()).add(value)
    },
    remove(filter, value) {
      removeValue(root, filter.split('/'), 0, value)
    },
    match(topic) {
      const found: Set<T>[] = []
      // A topic that starts with $ is not for filters that start with a wildcard [MQTT-4.7.2-1].
      if (topic.startsWith('$')) {
        const levels = topic.split('/')
        const first = root.named.get(levels[0] ?? '')
        if (first) collect(first, levels, 1, found)
      } else {
        collect(root, topic.split('/'), 0, found)
      }
      return found
    },
  }
}

function createLevel<T>(): Level<T> {
  return { named: new Map(), any: undefined, here: undefined, below: undefined }
}

function deeper<T>(level: Level<T>, name: string): Level<T> {
  if (name === '+') return (level.any ??= createLevel())
  let next = level.named.get(name)
  if (!next) level.named.set(name, (next = createLevel()))
  return next
}

function collect<T>(
  level: Level<T>,
  levels: readonly string[],
  depth: number,
  found: Set<T>[],
): void {
  if (level.below) found.push(level.below)
  const name = levels[depth]
  if (name === undefined) {
    if (level.here) found.push(level.here)
    return
  }
  const named = level.named.get(name)
  if (named) collect(named, levels, depth + 1, found)
  if (level.any) collect(level.any, levels, depth + 1, found)
}

/** Removes a value below a level, and the branch with it when nothing is left on it. */
function removeValue<T>(level: Level<T>, levels: readonly string[], depth: number, value: T): void {
  const name = levels[depth]
  if (name === undefined) {
    if (level.here?.delete(value) && level.here.size === 0) level.here = undefined
  } else if (name === '#' && depth === levels.length - 1) {
    if (level.below?.delete(value) && level.below.size === 0) level.below = undefined
  } else {
    const next = name === '+' ? level.any : level.named.get(name)
    if (!next) return
    removeValue(next, levels, depth + 1, value)
    if (!isEmpty(next)) return
    if (name === '+') level.any = undefined
    else level.named.delete(name)
  }
}

function isEmpty<T>(level: Level<T>): boolean {
  return level.named.size === 0 && !level.any && !level.here && !level.below
}
