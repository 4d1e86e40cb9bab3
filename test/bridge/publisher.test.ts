import { expect } from 'chai'
import { createUserState } from '../../bridge/core/index.ts'
import type { Link, LinkPublishOptions } from '../../bridge/index.ts'
import { createPublisher, type Publisher } from '../../bridge/publisher.ts'
import type { RoomFlush } from '../../bridge/store/store.ts'
import { createTopics, type Member } from '../../protocol/index.ts'
import { silentLogger } from '../../runtime/logger.ts'

const state = { ...createUserState('alice'), version: 7 }

function member(user: string): Member {
  return { user, status: 'online', since: '2026-03-01T09:00:00.000Z', data: null }
}

const flush: RoomFlush = {
  room: 'lobby',
  version: 9,
  previous: 8,
  size: 1,
  complete: true,
  members: [member('alice')],
  joined: [member('alice')],
  updated: [],
  left: [{ user: 'bob', reason: 'left', since: '', lastSeen: '' }],
  whole: true,
  strays: ['carol'],
}

/** Each topic with the version that it was published with. */
async function versionsOf(
  publish: (publisher: Publisher) => Promise<boolean>,
): Promise<Record<string, number | undefined>> {
  const versions: Record<string, number | undefined> = {}
  const link: Pick<Link, 'publish'> = {
    async publish(topic: string, _payload: string, { version }: LinkPublishOptions) {
      versions[topic.replace('presence/', '')] = version
    },
  }
  const topics = createTopics('presence')
  await publish(
    createPublisher({ link: link as Link, topics, logger: silentLogger, journal: true }),
  )
  return versions
}

describe('what a bridge publishes', () => {
  it('has the version of the user', async () => {
    const user = { 'users/alice': 7, 'users/alice/status': 7 }
    expect(await versionsOf((publisher) => publisher.publishUser(state))).to.deep.equal(user)
    const cleared = await versionsOf((publisher) => publisher.clearUser(state))
    expect(cleared).to.deep.equal({ ...user, 'bridge/state/alice': undefined })
  })

  it('has the version of the room', async () => {
    expect(await versionsOf((publisher) => publisher.publishRoom(flush))).to.deep.equal({
      'rooms/lobby': 9,
      'rooms/lobby/count': 9,
      'rooms/lobby/events': 9,
      'rooms/lobby/members/alice': 9,
      'rooms/lobby/members/bob': 9,
      'rooms/lobby/members/carol': 9,
    })
    const cleared = await versionsOf((publisher) => publisher.clearRoom('lobby', 5))
    expect(cleared).to.deep.equal({ 'rooms/lobby': 5, 'rooms/lobby/count': 5 })
  })

  it('has none where it is about the bridge', async () => {
    const status = await versionsOf((publisher) => publisher.publishStatus('online'))
    expect(status).to.deep.equal({ 'bridge/status': undefined })
    const journal = await versionsOf((publisher) => publisher.writeJournal(state, 1))
    expect(journal).to.deep.equal({ 'bridge/state/alice': undefined })
  })
})
