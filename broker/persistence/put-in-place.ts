/**
 * Puts what came late before the first of the others that comes after it, in an order that everybody has seen. What
 * has none such stays at the end; the others keep their order, whatever that one says.
 *
 * @param keys what is there, with what came late at the end
 * @param inOrder keys in the order that everybody has seen, also such as are not there
 * @param early those of the keys that did not come late
 */
export function putInPlace(
  keys: readonly string[],
  inOrder: readonly string[],
  early: ReadonlySet<string>,
): readonly string[] {
  const there = new Set(keys)
  const late = inOrder.filter((key) => there.has(key) && !early.has(key))
  if (late.length === 0) return keys
  const places = new Map(inOrder.map((key, place) => [key, place]))
  const placeOf = (key: string): number => places.get(key) ?? -1
  const isLate = new Set(late)
  const arranged: string[] = []
  let next = 0
  const putUpTo = (place: number): void => {
    for (let key = late[next]; key !== undefined && placeOf(key) < place; key = late[++next]) {
      arranged.push(key)
    }
  }
  for (const key of keys) {
    if (isLate.has(key)) continue
    putUpTo(placeOf(key))
    arranged.push(key)
  }
  putUpTo(Infinity)
  return arranged
}
