/**
 * The element with an id, which has to be of this kind.
 *
 * @throws TypeError when the page has none
 */
export function byId<T extends HTMLElement>(id: string, kind: abstract new () => T): T {
  const element = document.getElementById(id)
  if (element instanceof kind) return element
  throw new TypeError(`expected #${id} to be a ${kind.name}`)
}
