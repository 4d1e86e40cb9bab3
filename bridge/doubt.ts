import { nextDeadline } from './core/index.ts'
import { inSlices } from './slices.ts'
import type { Store } from './store/store.ts'

/** Marks everything that a store has as not published, for a broker that has lost what was retained. */
export async function markEverything(store: Store): Promise<void> {
  await inSlices(await store.allUsers(), (user) => markUser(store, user))
  await inSlices(await store.allRooms(), (room) => store.doubtRoom(room))
}

async function markUser(store: Store, user: string): Promise<void> {
  for (;;) {
    const stored = await store.loadUser(user)
    // Of who was never shown there is nothing to publish.
    if (!stored || stored.state.version === 0) return
    const { state, revision: expected, heard } = stored
    const deadline = nextDeadline(state)
    const mark = { state, expected, deadline, dirty: true, rooms: [], ...(heard && { heard }) }
    if ((await store.saveUser(mark)) !== undefined) return
  }
}
