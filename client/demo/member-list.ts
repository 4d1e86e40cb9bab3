import type { ConnectionDocument, Member } from '../../protocol/index.ts'
import { byId } from './by-id.ts'
import { clockTime } from './clock-time.ts'

/** The members of the room, with the grace of who is held by one running down. */
export interface MemberList {
  show(members: ReadonlyMap<string, Member>): void
  /** What a connection says of itself: who ends is held for a while. */
  hear(user: string, client: string, document: ConnectionDocument): void
  /** A user has left, and is shown a moment longer with a word on it. */
  left(user: string, farewell: string): void
  clear(): void
}

interface Held {
  readonly reason: string
  readonly since: number
  readonly until: number
}

/** How long it is shown why somebody left, in milliseconds. */
const FAREWELL_MS = 4000

/** Creates the list in the page. */
export function createMemberList(grace: Readonly<Record<string, number>>): MemberList {
  const list = byId('members', HTMLUListElement)
  let members: ReadonlyMap<string, Member> = new Map()
  const connections = new Map<string, Map<string, Held | null>>()
  const farewells = new Map<string, string>()

  /** By what a user is held: nothing while any of its connections is up. */
  function heldBy(user: string): Held | null {
    const known = [...(connections.get(user)?.values() ?? [])]
    if (known.length === 0 || known.includes(null)) return null
    return known.reduce((longest, held) =>
      longest && held && held.until > longest.until ? held : longest,
    )
  }

  function draw(): void {
    const now = Date.now()
    const lines = [...members.values()].map((member) => {
      const held = heldBy(member.user)
      if (held && held.until > now) return heldLine(member, held, now)
      return line(member.user, member.status, describe(member))
    })
    for (const [user, farewell] of farewells) {
      if (!members.has(user)) lines.push(line(user, 'left', farewell))
    }
    list.replaceChildren(...lines)
    byId('count', HTMLElement).textContent = String(members.size)
    byId('nobody', HTMLElement).hidden = lines.length > 0
  }

  function heldLine(member: Member, { reason, since, until }: Held, now: number): HTMLLIElement {
    const seconds = ((until - now) / 1000).toFixed(1)
    const item = line(member.user, 'held', `${reason}: held for another ${seconds} s`)
    const bar = document.createElement('progress')
    bar.max = until - since
    bar.value = until - now
    item.append(bar)
    return item
  }

  setInterval(() => {
    const now = Date.now()
    if ([...members.keys()].some((user) => (heldBy(user)?.until ?? 0) > now - 200)) draw()
  }, 100)

  return {
    show(next) {
      members = next
      draw()
    },
    hear(user, client, { status, reason = 'closed' }) {
      const known = connections.get(user) ?? new Map<string, Held | null>()
      connections.set(user, known)
      const now = Date.now()
      if (status !== 'offline') {
        // A client that comes back takes the place of what was held for it; so does any other.
        for (const [other, held] of known) if (held) known.delete(other)
        known.set(client, null)
      } else if (known.has(client) || members.has(user)) {
        const until = now + (grace[reason] ?? 0)
        const before = known.get(client)
        known.set(client, before && before.until < until ? before : { reason, since: now, until })
        if (reason === 'left') known.delete(client)
      }
      draw()
    },
    left(user, farewell) {
      connections.delete(user)
      farewells.set(user, farewell)
      setTimeout(() => {
        farewells.delete(user)
        draw()
      }, FAREWELL_MS)
    },
    clear() {
      members = new Map()
      connections.clear()
      draw()
    },
  }
}

function line(user: string, className: string, text: string): HTMLLIElement {
  const item = document.createElement('li')
  item.className = className
  item.dataset['user'] = user
  const face = document.createElement('span')
  face.className = 'face'
  face.ariaHidden = 'true'
  face.textContent = String.fromCodePoint(user.codePointAt(0) ?? 0x3f).toLocaleUpperCase()
  const name = document.createElement('b')
  name.textContent = user
  const small = document.createElement('small')
  small.textContent = text
  item.append(face, name, small)
  return item
}

function describe({ status, since, data }: Member): string {
  const given = typeof data === 'object' && data !== null && 'note' in data ? data['note'] : null
  const note = typeof given === 'string' ? ` · ${given}` : ''
  return `${status === 'away' ? 'away' : 'here'} since ${clockTime(since)}${note}`
}
