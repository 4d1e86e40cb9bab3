import { expect } from 'chai'
import { randomUUID } from 'node:crypto'
import { shareInSuite } from '../helpers/cluster-suite.ts'
import { startCluster } from '../helpers/cluster.ts'
import { listenForSilence, type Silence } from '../helpers/cluster-silence.ts'
import { connectPeer, type MqttPeer, type PeerOptions } from '../helpers/mqtt-peer.ts'
import { json, isOffline, watch } from '../helpers/presence-reader.ts'
import { eventually, within } from '../helpers/within.ts'
import { AUDIENCE, ISSUER, SECRET, tokenFor } from './security/tokens.ts'

const ALL = [0, 1, 2]
const TAKEN_OVER = 0x8e
const REFUSED = 0x85

for (const grace of ['0s', '2s']) {
  describe(`a client that moves among three brokers, with ${grace} of grace for who is closed`, function () {
    this.timeout(30_000)
    const cluster = shareInSuite(() =>
      startCluster(3, { flags: ['--grace-closed', grace, '--grace-broker', '2s'] }),
    )

    /** Somebody who is in the lobby, and the readers of him. */
    async function begin(): Promise<{
      readonly user: string
      readonly silence: Silence
      readonly enter: (index: number, options?: PeerOptions) => Promise<MqttPeer>
    }> {
      const user = `alice-${randomUUID()}`
      const room = `room-${user}`
      const silence = await listenForSilence(cluster(), user, [room])
      return {
        user,
        silence,
        async enter(index, options = {}) {
          const peer = await connectPeer(cluster().at(index).mqttPort, {
            version: 5,
            clientId: `${user}-phone`,
            username: user,
            ...options,
          })
          const topic = `presence/connections/${user}/${user}-phone`
          const document = { status: 'online', rooms: { [room]: { color: 'red' } } }
          // A takeover begins without rooms: without a grace they are left.
          if (grace !== '0s') peer.publish({ topic, payload: JSON.stringify(document), qos: 1 })
          return peer
        },
      }
    }

    it('is taken over silently, and told so where it was', async () => {
      const { silence, enter } = await begin()
      let peer = await enter(0)
      expect(await silence.shown()).to.not.deep.equal([])
      for (const index of [1, 2, 0]) {
        const before = peer
        peer = await enter(index)
        expect(await within(3000, 'the old one ends', before.closed)).to.equal(TAKEN_OVER)
      }
      expect(await silence.shown()).to.deep.equal([])
    })

    it('may go back and forth twenty times as fast as it can', async () => {
      const { silence, enter } = await begin()
      const peers = [await enter(0)]
      await silence.shown()
      for (let i = 1; i <= 20; i++) peers.push(await enter(i % 3))
      const last = peers.pop()
      const ends = await within(
        5000,
        'all have ended',
        Promise.all(peers.map((peer) => peer.closed)),
      )
      expect(new Set(ends)).to.deep.equal(new Set([TAKEN_OVER]))
      expect(await silence.shown()).to.deep.equal([])
      expect(last?.stream.destroyed).to.equal(false)
    })

    if (grace === '0s') return

    it('has one connection after it came to all brokers at the same moment', async () => {
      const { user, silence, enter } = await begin()
      await enter(0)
      await silence.shown()
      for (let round = 0; round < 5; round++) {
        const peers = await Promise.all(ALL.map((index) => enter(index)))
        const isOpen = ({ stream }: MqttPeer): boolean => !stream.destroyed
        await eventually('one is left', () => peers.filter(isOpen).length === 1)
        const closed = peers.filter((peer) => !isOpen(peer))
        const ends = await Promise.all(closed.map((peer) => peer.closed))
        expect(ends).to.deep.equal([TAKEN_OVER, TAKEN_OVER])
      }
      expect(await silence.shown()).to.deep.equal([])
      const reader = await watch(cluster().at(1), `presence/users/${user}`)
      const document = await reader.next(`presence/users/${user}`)
      expect(json(document)).to.include({ status: 'online', connections: 1 })
    })

    it('is not missed when it loses its connection and comes back by another broker', async () => {
      const { silence, enter } = await begin()
      let peer = await enter(0)
      await silence.shown()
      for (const index of [1, 2, 1, 0]) {
        peer.stream.destroy()
        await peer.closed
        peer = await enter(index)
      }
      expect(await silence.shown()).to.deep.equal([])
    })

    it('is missed when it does not come back', async () => {
      const { user, enter } = await begin()
      const peer = await enter(1)
      const reader = await watch(cluster().at(2), `presence/users/${user}`)
      await reader.next(({ text }) => text.includes('online'))
      peer.stream.destroy()
      const end = await reader.next(isOffline(user))
      expect(json(end)['reason']).to.equal('closed')
    })
  })
}

describe('a client id among brokers that ask who somebody is', function () {
  this.timeout(20_000)
  const flags = ['--jwt-secret', SECRET, '--jwt-audience', AUDIENCE, '--jwt-issuer', ISSUER]
  const cluster = shareInSuite(() => startCluster(2, { flags }))

  async function connect(index: number, user: string, clientId: string): Promise<MqttPeer> {
    const password = Buffer.from(await tokenFor(user))
    const { mqttPort } = cluster().at(index)
    return connectPeer(mqttPort, { version: 5, clientId, username: user, password })
  }

  it('is refused to another user, by every broker, as long as its owner has it', async () => {
    const owner = await connect(0, 'alice', 'phone')
    for (const index of [0, 1]) {
      const { connack, closed } = await connect(index, 'mallory', 'phone')
      expect(connack.reasonCode).to.equal(REFUSED)
      await closed
    }
    await owner.request({ cmd: 'pingreq' }, 'pingresp')
    owner.send({ cmd: 'disconnect' })
    owner.stream.end()
    await eventually('the id is free', async () => {
      const { connack } = await connect(1, 'mallory', 'phone')
      return connack.reasonCode === 0
    })
  })

  it('is its owner’s by another broker too', async () => {
    const first = await connect(0, 'bob', 'tablet')
    const second = await connect(1, 'bob', 'tablet')
    expect(second.connack.reasonCode).to.equal(0)
    expect(await within(3000, 'the old one ends', first.closed)).to.equal(TAKEN_OVER)
  })
})
