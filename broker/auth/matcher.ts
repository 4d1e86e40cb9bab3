/** Tells which ids any of some patterns stands for. */
export type Matcher = (id: string) => boolean

/** Compiles patterns in which `*` stands for any characters, none included; everything else for itself. */
export function createMatcher(patterns: readonly string[]): Matcher {
  if (patterns.includes('*')) return () => true
  const exact = new Set(patterns.filter((pattern) => !pattern.includes('*')))
  const globs = patterns
    .filter((pattern) => pattern.includes('*'))
    .map((pattern) => pattern.split('*'))
  return (id) => exact.has(id) || globs.some((parts) => matchesParts(parts, id))
}

/** No regular expression: its time grows with the length of the id and of the pattern, no faster. */
function matchesParts(parts: readonly string[], id: string): boolean {
  const first = parts[0] ?? ''
  const last = parts.at(-1) ?? ''
  if (id.length < first.length + last.length) return false
  if (!id.startsWith(first) || !id.endsWith(last)) return false
  const end = id.length - last.length
  let from = first.length
  for (const part of parts.slice(1, -1)) {
    const at = id.indexOf(part, from)
    if (at < 0 || at + part.length > end) return false
    from = at + part.length
  }
  return true
}
