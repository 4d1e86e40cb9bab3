/**
 * Stamps begin at the time in microseconds: a broker that starts again under its old name goes on above.
 * All brokers of a process take theirs from here, for the stamps of each have only to grow.
 */
let last = Date.now() * 1000

/** The stamp of the next document that is published. */
export function nextStamp(): number {
  return ++last
}
