import { expect } from 'chai'
import { createPublisher } from '../../../bridge/publisher.ts'
import { createAttendance, type Attendance } from '../../../bridge/sharing/attendance.ts'
import type { SharedStore, SilentBridge } from '../../../bridge/store/store.ts'
import { createTopics } from '../../../protocol/index.ts'
import { silentLogger } from '../../../runtime/logger.ts'
import { MemoryLink } from '../../helpers/memory-link.ts'
import { createShared } from '../shared-store.ts'

describe('which bridges are there', () => {
  let link: MemoryLink
  let silent: SilentBridge[]
  let forgotten: string[]
  let attendance: Attendance

  beforeEach(async () => {
    link = new MemoryLink()
    await link.open([], { onMessage: async () => {}, onUp: async () => {}, onDown: () => {} })
    silent = []
    forgotten = []
    const shared: SharedStore = {
      ...(createShared(() => undefined).store.shared as SharedStore),
      silentBridges: async () => silent,
      forgetBridge: async (store) => void forgotten.push(store),
    }
    const topics = createTopics()
    const publisher = createPublisher({ link, topics, logger: silentLogger, journal: false })
    attendance = createAttendance({ id: 'me', shared, publisher })
  })

  it('is a retained topic of each, with any name, until it says that it goes', async () => {
    await attendance.sayHere()
    expect([...link.retained]).to.deep.equal([['presence/bridges/me', 'online']])
    await attendance.sayGone()
    expect([...link.retained]).to.deep.equal([])
  })

  it('is cleared for one that is silent twice in a row, then forgotten', async () => {
    link.retained.set('presence/bridges/b%2F1', 'online')
    silent = [{ store: 's1', bridge: 'b/1' }]
    await attendance.look()
    expect(link.retained.size).to.equal(1)
    expect(forgotten).to.deep.equal([])
    await attendance.look()
    expect(link.retained.size).to.equal(0)
    expect(forgotten).to.deep.equal(['s1'])
  })

  it('stays for one that was silent for a moment, and for this one, whatever the store says', async () => {
    const one = { store: 's1', bridge: 'b1' }
    silent = [one]
    await attendance.look()
    silent = []
    await attendance.look()
    silent = [one]
    await attendance.look()
    silent = [{ store: 's2', bridge: 'me' }]
    await attendance.look()
    await attendance.look()
    expect(link.take()).to.deep.equal([])
    expect(forgotten).to.deep.equal([])
  })

  it('is tried again when it could not be published', async () => {
    silent = [{ store: 's1', bridge: 'b1' }]
    await attendance.look()
    link.kill()
    await attendance.look()
    expect(forgotten).to.deep.equal([])
  })
})
