import { expect } from 'chai'
import { resolvePolicy } from '../../../bridge/core/index.ts'
import { correctShown } from '../../../bridge/sharing/correct-shown.ts'
import { createMemoryStore } from '../../../bridge/index.ts'
import { createTopics } from '../../../protocol/index.ts'
import { ManualClock } from '../../helpers/manual-clock.ts'
import { MemoryLink } from '../../helpers/memory-link.ts'
import { member } from '../store/samples.ts'

describe('what readers are shown, compared with a store that does not have it', () => {
  /** Compares; resolves to the users that are stored then, and the rooms that are published again. */
  async function compare(isSteady: () => boolean): Promise<object> {
    const clock = new ManualClock()
    const link = new MemoryLink()
    const store = createMemoryStore({ now: () => clock.now() })
    link.send('presence/rooms/lobby/members/ann', member('ann'), true)
    const told: string[] = []
    await correctShown({
      store,
      link,
      topics: createTopics(),
      clock,
      policy: resolvePolicy(),
      publishUser: async (user) => void told.push(user),
      notifyRoom: (room) => told.push(room),
      isSteady,
    })
    return { told, users: await store.allUsers(), rooms: await store.dirtyRooms() }
  }

  it('is made good there', async () => {
    const found = await compare(() => true)
    expect(found).to.deep.equal({ told: ['lobby'], users: ['ann'], rooms: ['lobby'] })
  })

  it('is left alone when the store has been lost once more', async () => {
    expect(await compare(() => false)).to.deep.equal({ told: [], users: [], rooms: [] })
  })

  it('… also in the middle of it', async () => {
    let answers = 0
    // Of users the store is asked first, of rooms then.
    const found = await compare(() => ++answers === 1)
    expect(found).to.deep.include({ told: [], users: ['ann'] })
  })
})
