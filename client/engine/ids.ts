/** Random letters and digits, 5 bits each, that nobody can guess from others. */
export function randomId(length: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(length))
  return Array.from(bytes, (byte) => (byte % 32).toString(32)).join('')
}

/** A connection id: unique, and sorted by time among those of one computer. */
export function connectionId(now: number): string {
  return `${now.toString(36).padStart(9, '0')}-${randomId(10)}`
}
