import { jsonEqual, type Json } from '../../protocol/index.ts'
import type { SessionOptions, Wants } from './messages.ts'

/** Member or user data, and when it was last changed among all tabs. */
interface Said {
  readonly data: Json
  readonly order: number
}

/** One page of those that share a connection, as its engine knows it. */
export interface Tab {
  readonly wants: Wants
  readonly rooms: ReadonlyMap<string, Said>
  readonly data: Said | undefined
  readonly hiddenSince: number | null
  readonly activeAt: number
  /** Gone, but perhaps only reloading: its rooms are held until then. */
  readonly goneUntil: number | null
}

/** What one connection says of all its tabs. */
export interface Presence {
  readonly status: 'online' | 'away'
  readonly rooms: ReadonlyMap<string, Json>
  readonly data: Json | undefined
}

type AwayPolicy = Pick<SessionOptions, 'awayHiddenMs' | 'awayIdleMs'>

/** A tab that has just opened. */
export function openTab(wants: Wants, visible: boolean, order: number, now: number): Tab {
  const blank: Tab = {
    wants,
    rooms: new Map(),
    data: undefined,
    hiddenSince: visible ? null : now,
    activeAt: now,
    goneUntil: null,
  }
  return tellWants(blank, wants, order)
}

/** What is said again keeps its order: only news may go before what another tab has said since. */
export function tellWants(tab: Tab, wants: Wants, order: number): Tab {
  const rooms = Object.entries(wants.rooms).map(([room, data]): [string, Said] => [
    room,
    tell(tab.rooms.get(room), data, order),
  ])
  const data = wants.data === undefined ? undefined : tell(tab.data, wants.data, order)
  return { ...tab, wants, rooms: new Map(rooms), data }
}

function tell(before: Said | undefined, data: Json, order: number): Said {
  return before && jsonEqual(before.data, data) ? before : { data, order }
}

/** Somebody looks at the tab or no longer does. */
export function seeTab(tab: Tab, visible: boolean, now: number): Tab {
  if (visible) return { ...tab, hiddenSince: null, activeAt: now }
  return { ...tab, hiddenSince: tab.hiddenSince ?? now }
}

/** Whether nobody is there: because the tab says so, or nobody has looked at it or touched it for long. */
export function isAway(tab: Tab, now: number, policy: AwayPolicy): boolean {
  if (tab.wants.status !== 'auto') return tab.wants.status === 'away'
  return now >= awayAt(tab, policy)
}

/** When a tab becomes away by itself; infinite when it does not. */
export function awayAt(tab: Tab, { awayHiddenMs, awayIdleMs }: AwayPolicy): number {
  if (tab.wants.status !== 'auto') return Number.POSITIVE_INFINITY
  const byHiding =
    tab.hiddenSince === null || awayHiddenMs === null
      ? Number.POSITIVE_INFINITY
      : tab.hiddenSince + awayHiddenMs
  const byIdling = awayIdleMs === null ? Number.POSITIVE_INFINITY : tab.activeAt + awayIdleMs
  return Math.min(byHiding, byIdling)
}

/** What the connection says: the union of the rooms, the newest data, away only when all tabs are. */
export function mergeTabs(tabs: Iterable<Tab>, now: number, policy: AwayPolicy): Presence {
  const rooms = new Map<string, Said>()
  let data: Said | undefined
  let present = false
  for (const tab of tabs) {
    present ||= !isAway(tab, now, policy)
    if (tab.data) data = newer(data, tab.data)
    for (const [room, said] of tab.rooms) rooms.set(room, newer(rooms.get(room), said))
  }
  return {
    status: present ? 'online' : 'away',
    rooms: new Map([...rooms].map(([room, said]) => [room, said.data])),
    data: data?.data,
  }
}

function newer(a: Said | undefined, b: Said): Said {
  return a && a.order > b.order ? a : b
}

/** Whether two presences would be the same document. */
export function samePresence(a: Presence, b: Presence): boolean {
  return (
    a.status === b.status &&
    jsonEqual(a.data, b.data) &&
    jsonEqual(Object.fromEntries(a.rooms), Object.fromEntries(b.rooms))
  )
}
