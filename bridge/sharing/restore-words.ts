import { jsonEqual } from '../../protocol/index.ts'
import { step, viewMember, viewUser, type Policy, type UserState } from '../core/index.ts'
import { stayInRooms } from './late-ends.ts'
import { closeBefore, printOf, type Heard } from './heard.ts'
import { inSlices } from '../slices.ts'
import type { LastWord } from './recent.ts'
import { saveRestored } from '../restore.ts'
import type { Store } from '../store/store.ts'

/** What restoring works with. */
interface Restoring {
  readonly store: Store
  readonly heard: Heard
  readonly policy: Policy
  /** When the store was lost, in milliseconds since the epoch. */
  readonly until: number
}

/**
 * Gives back to a store which connections its users have. Of those alone whom it takes for online: who came
 * and was never shown answers the roll call. All of a user's at once, in the order in which they came, so that
 * nobody is shown what lies between.
 */
export async function restoreWords(
  restoring: Restoring,
  words: readonly LastWord[],
): Promise<void> {
  const byUser = new Map<string, LastWord[]>()
  for (const word of words) {
    const said = byUser.get(word.user)
    if (said) said.push(word)
    else byUser.set(word.user, [word])
  }
  await inSlices([...byUser], ([user, said]) => restoreUser(restoring, user, said))
}

async function restoreUser(
  { store, heard, policy, until }: Restoring,
  user: string,
  words: readonly LastWord[],
): Promise<void> {
  const stored = await store.loadUser(user)
  if (!stored || stored.state.connections.length === 0) return
  const before = stored.state
  let { state, heard: log = [] } = stored
  for (const { at, client, document } of words) {
    const print = printOf(client, document)
    const judged = heard.judge(user, print, { ...stored, state, heard: log })
    if (!judged) continue
    // Whoever leaves a room says so once more, or it is said for him when the roll is called: after others have
    // told who has come.
    const staying = stayInRooms({ client, document }, state.connections)
    log = judged.map((entry) => closeBefore(entry, print, staying === document))
    const input = { type: 'document', client, document: staying } as const
    // As of then: what was in grace did not go on while the store was away.
    ;[state] = step(state, input, Math.min(at, until), policy)
  }
  const dirty = !looksSame(before, state)
  // What was shown and has not changed keeps its version.
  if (!dirty) state = { ...state, version: before.version }
  const rooms = new Map(before.memberships.map((one) => [one.room, viewMember(before, one)]))
  await saveRestored(store, state, dirty, rooms, { ...stored, heard: log })
}

/** Whether readers are told the same of a user, but for when it was heard. */
function looksSame(before: UserState, after: UserState): boolean {
  const [a, b] = [viewUser(before), viewUser(after)]
  return a.status === b.status && a.connections === b.connections && jsonEqual(a.data, b.data)
}
