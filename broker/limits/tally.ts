/** Things by whose they are, and how many each has. */
export interface Tally<T> {
  add(thing: T, owner: string): void
  /** False when it was not there. */
  remove(thing: T): boolean
  count(owner: string): number
}

/** Creates an empty tally. */
export function createTally<T extends object>(): Tally<T> {
  const owners = new Map<T, string>()
  const counts = new Map<string, number>()
  const count = (owner: string): number => counts.get(owner) ?? 0
  return {
    add(thing, owner) {
      owners.set(thing, owner)
      counts.set(owner, count(owner) + 1)
    },
    remove(thing) {
      const owner = owners.get(thing)
      if (owner === undefined) return false
      owners.delete(thing)
      if (count(owner) > 1) counts.set(owner, count(owner) - 1)
      else counts.delete(owner)
      return true
    },
    count,
  }
}
