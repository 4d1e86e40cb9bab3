import { byId } from './by-id.ts'
import { clockTime } from './clock-time.ts'

type Kind = 'joined' | 'gone' | 'silence'

/** The list of what the others are told, and what a close handler would have told them. */
export interface Feed {
  naive(kind: Kind, text: string): void
  told(kind: Kind, text: string): void
}

interface Line {
  readonly column: 'naive' | 'told'
  readonly kind: Kind
  readonly text: string
  readonly at: number
}

/** Lines that are kept, across reloads of the page too. */
const MAX_LINES = 100
const KEPT = 'presence-demo-feed'

/** Creates the feed in the page. */
export function createFeed(): Feed {
  const list = byId('feed', HTMLOListElement)
  const lines: Line[] = []

  function show(line: Line): void {
    lines.push(line)
    if (lines.length > MAX_LINES) lines.shift()
    byId('quiet', HTMLElement).hidden = true
    for (const column of ['naive', 'told'] as const) {
      const count = lines.filter((each) => each.column === column).length
      byId(`${column}-count`, HTMLElement).textContent = String(count)
    }
    list.prepend(draw(line))
    while (list.childElementCount > MAX_LINES) list.lastElementChild?.remove()
  }

  function add(column: Line['column'], kind: Kind, text: string): void {
    show({ column, kind, text, at: Date.now() })
    sessionStorage.setItem(KEPT, JSON.stringify(lines))
  }

  for (const line of JSON.parse(sessionStorage.getItem(KEPT) ?? '[]') as Line[]) show(line)
  return {
    naive: (kind, text) => add('naive', kind, text),
    told: (kind, text) => add('told', kind, text),
  }
}

function draw({ column, kind, text, at }: Line): HTMLLIElement {
  const item = document.createElement('li')
  const said = document.createElement('p')
  said.className = kind
  const time = document.createElement('time')
  time.textContent = clockTime(at)
  // As text, never as markup: names come from strangers.
  said.append(time, document.createElement('br'), text)
  const other = document.createElement('p')
  item.append(...(column === 'naive' ? [said, other] : [other, said]))
  return item
}
