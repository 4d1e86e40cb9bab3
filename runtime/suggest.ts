/** `debug, info or warn`. */
export function either(names: readonly string[]): string {
  return `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`
}

/** `; did you mean grace.closed?`, or nothing when no name is near. */
export function didYouMean(misspelt: string, names: readonly string[]): string {
  const name = nearest(misspelt, names)
  return name === undefined ? '' : `; did you mean ${name}?`
}

function nearest(misspelt: string, names: readonly string[]): string | undefined {
  const near = Math.max(1, Math.floor(misspelt.length / 3))
  let best: string | undefined
  let least = near + 1
  for (const name of names) {
    const distance = editDistance(misspelt.toLowerCase(), name.toLowerCase())
    if (distance < least) [best, least] = [name, distance]
  }
  return best
}

/** How many letters to add, drop, change or swap with their neighbour (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      const change = at(previous, column - 1) + (same ? 0 : 1)
      const swapped =
        row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      const swap = swapped ? at(beforePrevious, column - 2) + 1 : Infinity
      current.push(Math.min(change, swap, at(previous, column) + 1, at(current, column - 1) + 1))
    }
    beforePrevious = previous
    previous = current
  }
  return at(previous, b.length)
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Infinity
}
