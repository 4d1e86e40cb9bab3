import { expect } from 'chai'
import { createTopics, type Member } from '../../../protocol/index.ts'
import { resolvePolicy } from '../../../bridge/core/index.ts'
import { reconcileStore } from '../../../bridge/sharing/reconcile.ts'
import { readRemains } from '../../../bridge/remains.ts'
import { createMemoryStore } from '../../../bridge/store/memory-store.ts'
import { MemoryLink } from '../../helpers/memory-link.ts'
import { iso, START, World } from '../world.ts'

const ann: Member = { user: 'ann', status: 'online', since: iso(0), data: 1 }

describe('a store that was emptied', () => {
  for (const version of [7, START + 500_000]) {
    it(`is filled so that no diff builds upon what readers have: ${version}`, async () => {
      const link = new MemoryLink()
      const snapshot = { room: 'den', version, size: 1, members: [ann] }
      link.retained.set('presence/rooms/den', JSON.stringify(snapshot))
      link.retained.set('presence/rooms/den/members/ann', JSON.stringify(ann))
      link.retained.set('presence/rooms/den/count', '1')
      const store = createMemoryStore({ now: () => START })
      const remains = await readRemains(link, createTopics())
      await reconcileStore(store, remains, START, resolvePolicy())
      await store.doubtRoom('den')
      const flush = await store.flushRoom('den', START, 1000)
      expect(flush?.previous).to.be.above(version)
      expect(flush?.version).to.be.above(flush?.previous ?? 0)
      expect(flush?.members).to.deep.equal([ann])
    })
  }
})

describe('a user of whom only ended connections are known', () => {
  it('is not published when everything is published again', async () => {
    const world = await World.start()
    await world.online('ann/tab', 'c1')
    await world.ended('bob/tab', 'c2', 'closed')
    world.link.goDown()
    world.link.retained.clear()
    await world.link.comeUp(false)
    await world.clock.advance(0)
    expect(world.shown()).to.have.any.keys('users/ann')
    expect(world.shown()).not.to.have.any.keys('users/bob', 'users/bob/status')
  })
})
