/** One topic level. Most are leaves, so the map of what lies below comes with the first child. */
interface TopicNode<T> {
  value: T | undefined
  children: Map<string, TopicNode<T>> | undefined
}

/** Nodes that a lookup has still to visit, all of them `depth` levels below the root. */
interface Frame<T> {
  readonly nodes: Iterator<TopicNode<T>>
  readonly depth: number
}

/** Topics that a search visits between two pauses. */
const PAUSE_AFTER = 1000

/**
 * Values by topic, found by MQTT filter [MQTT-4.7]. A lookup follows the filter level by level: its
 * cost depends on what it matches, not on how much is stored (a `+` in the middle of a filter
 * visits every sibling at that level).
 */
export class RetainedIndex<T extends {}> {
  #root: TopicNode<T> = emptyNode()
  #size = 0

  /** How many topics have a value. */
  get size(): number {
    return this.#size
  }

  /** The value of exactly this topic. */
  get(topic: string): T | undefined {
    let node: TopicNode<T> | undefined = this.#root
    for (const level of topic.split('/')) {
      node = node.children?.get(level)
      if (node === undefined) return undefined
    }
    return node.value
  }

  /** Stores a value, or replaces the topic's previous one. */
  set(topic: string, value: T): void {
    let node = this.#root
    for (const level of topic.split('/')) node = childOf(node, level)
    if (node.value === undefined) this.#size++
    node.value = value
  }

  /** Forgets a topic, and every level that only led to it. Returns whether it had a value. */
  delete(topic: string): boolean {
    const levels = topic.split('/')
    const parents: TopicNode<T>[] = []
    let node = this.#root
    for (const level of levels) {
      const child = node.children?.get(level)
      if (child === undefined) return false
      parents.push(node)
      node = child
    }
    if (node.value === undefined) return false
    node.value = undefined
    this.#size--
    prune(node, parents, levels)
    return true
  }

  /** Forgets everything. */
  clear(): void {
    this.#root = emptyNode()
    this.#size = 0
  }

  /**
   * The values whose topics match a filter, read as the iteration reaches them: a value that was
   * replaced meanwhile is the new one. Topics may be set and deleted between two steps; what is
   * stored all the time is found exactly once.
   */
  *match(filter: string): Generator<T, void, undefined> {
    for (const value of this.search(filter)) if (value !== undefined) yield value
  }

  /**
   * The same, with `undefined` now and then where a filter makes many topics be visited of which few match:
   * whoever reads has then a chance to do something else.
   */
  *search(filter: string): Generator<T | undefined, void, undefined> {
    let visited = 0
    const levels = filter.split('/')
    const root = this.#root
    // A stack of our own, since topics may be deeper than the call stack.
    const stack: Frame<T>[] = [{ nodes: [root].values(), depth: 0 }]
    for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
      const next = frame.nodes.next()
      if (next.done === true) {
        stack.pop()
        continue
      }
      if (++visited % PAUSE_AFTER === 0) yield undefined
      const [node, depth] = descend(next.value, frame.depth, levels)
      if (node === undefined) continue
      const level = levels[depth]
      // The last level of the filter is reached, or `#`, which includes its parent [MQTT-4.7.1-2].
      if (level !== '+' && node.value !== undefined) yield node.value
      if (level === undefined || node.children === undefined) continue
      const nodes = node === root ? withoutDollar(node.children) : node.children.values()
      // A `#` stays in force for everything below.
      stack.push({ nodes, depth: level === '#' ? depth : depth + 1 })
    }
  }
}

function emptyNode<T>(): TopicNode<T> {
  return { value: undefined, children: undefined }
}

function childOf<T>(node: TopicNode<T>, level: string): TopicNode<T> {
  node.children ??= new Map()
  let child = node.children.get(level)
  if (child === undefined) {
    child = emptyNode()
    node.children.set(level, child)
  }
  return child
}

/** Follows the filter's plain levels from a node to the next wildcard, or to the filter's end. */
function descend<T>(
  from: TopicNode<T>,
  depth: number,
  levels: readonly string[],
): readonly [TopicNode<T> | undefined, number] {
  let node: TopicNode<T> | undefined = from
  let reached = depth
  for (; node !== undefined; reached++) {
    const level = levels[reached]
    if (level === undefined || level === '+' || level === '#') break
    node = node.children?.get(level)
  }
  return [node, reached]
}

/** A filter that begins with a wildcard does not match topics that begin with `$` [MQTT-4.7.2-1]. */
function* withoutDollar<T>(children: Map<string, TopicNode<T>>): Generator<TopicNode<T>> {
  for (const [level, node] of children) {
    if (!level.startsWith('$')) yield node
  }
}

/** Removes what leads to nothing any more, from the leaf upwards. */
function prune<T>(leaf: TopicNode<T>, parents: TopicNode<T>[], levels: string[]): void {
  let node = leaf
  while (node.value === undefined && node.children === undefined) {
    const parent = parents.pop()
    const level = levels.pop()
    if (parent?.children === undefined || level === undefined) return
    parent.children.delete(level)
    // An iteration may stand on this map: let go of it, but leave it alone.
    if (parent.children.size === 0) parent.children = undefined
    node = parent
  }
}
