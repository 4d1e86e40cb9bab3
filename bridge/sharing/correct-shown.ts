import { jsonEqual, type Member, type Topics, type UserDocument } from '../../protocol/index.ts'
import type { Clock } from '../../runtime/clock.ts'
import { createUserState, step, viewUser, type Policy, type UserState } from '../core/index.ts'
import type { Link } from '../link/link.ts'
import { readRemains, type Remains } from '../remains.ts'
import { collectShown, invert, onlyMember, saveRestored } from '../restore.ts'
import { inSlices } from '../slices.ts'
import type { Store } from '../store/store.ts'

/** Options of {@link correctShown}. */
export interface CorrectShownOptions {
  readonly store: Store
  readonly link: Link
  readonly topics: Topics
  readonly clock: Clock
  readonly policy: Policy
  readonly publishUser: (user: string) => Promise<void>
  readonly notifyRoom: (room: string) => void
  /** Whether the store has its data: what it answers otherwise may be that it is empty. */
  readonly isSteady: () => boolean
}

/** How often it is tried to store a user when other bridges are faster. */
const MAX_ATTEMPTS = 10

/**
 * Compares what the readers of this bridge's broker are shown with a store that was made good from what
 * another broker had: of what was published right before the store was lost the others may have heard
 * nothing. What the store does not stand for is published again, and whoever nobody knows ends. Should the store be
 * lost once more it stops: then all begins anew.
 */
export async function correctShown(options: CorrectShownOptions): Promise<void> {
  const { store, link, topics, notifyRoom, publishUser, isSteady } = options
  const remains = await readRemains(link, topics)
  const shown = collectShown(remains)
  const roomsOf = invert(shown)
  await inSlices([...new Set([...remains.users.keys(), ...roomsOf.keys()])], async (user) => {
    const isCorrected = await correctUser(options, user, remains.users.get(user), roomsOf.get(user))
    if (isCorrected) await publishUser(user)
  })
  await inSlices([...shown], async ([room, members]) => {
    const strays = await findStrays(store, room, members, remains)
    if (!strays || !isSteady()) return
    await store.doubtRoom(room, strays)
    notifyRoom(room)
  })
}

/** Tells whether something has to be published. */
async function correctUser(
  { store, clock, policy, isSteady }: CorrectShownOptions,
  user: string,
  document: UserDocument | undefined,
  rooms: ReadonlyMap<string, Member> = new Map(),
): Promise<boolean> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const now = clock.now()
    const stored = await store.loadUser(user)
    if (!isSteady()) return false
    const before = stored?.state ?? createUserState(user)
    // Of a member alone the room tells.
    if (stored && !(document && isLater(document, before))) return false
    const present = Array.from(rooms, ([room, member]) => ({ room, member }))
    const shown = document ?? onlyMember(user, rooms, now)
    const input = { type: 'restore', shown, rooms: present } as const
    const [state] = step(before, input, now, policy)
    // Whoever is restored is shown already.
    const isDirty = stored !== undefined
    if ((await saveRestored(store, state, isDirty, rooms, stored)) !== undefined) return isDirty
  }
  throw new Error(`gave up correcting ${JSON.stringify(user)} after ${MAX_ATTEMPTS} conflicts`)
}

/** Whether readers have something later than the store, or something else under the same version. */
function isLater(shown: UserDocument, state: UserState): boolean {
  if (shown.version !== state.version) return shown.version > state.version
  const { status, connections, data } = viewUser(state)
  return (
    shown.status !== status || shown.connections !== connections || !jsonEqual(shown.data, data)
  )
}

/** Whoever is shown in a room and is not in it; undefined when everything else is right, too. */
async function findStrays(
  store: Store,
  room: string,
  shown: ReadonlyMap<string, Member>,
  { rooms, counts, members }: Remains,
): Promise<readonly string[] | undefined> {
  const stored = new Set((await store.roomMembers(room)).map(({ user }) => user))
  const told = new Set([...shown.keys(), ...(members.get(room)?.keys() ?? [])])
  const strays = [...told].filter((user) => !stored.has(user))
  const sizes = [told.size, members.get(room)?.size ?? 0, rooms.get(room)?.size ?? 0]
  const isRight =
    strays.length === 0 &&
    sizes.every((size) => size === stored.size) &&
    Number(counts.get(room) ?? 0) === stored.size
  return isRight ? undefined : strays
}
