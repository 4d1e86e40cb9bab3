import { expect } from 'chai'
import { connectMqttLink, type Link } from '../../bridge/index.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { startTcpBroker, type TcpBroker } from '../helpers/tcp-broker.ts'

const USER = 'presence/users/alice'
const STATUS = `${USER}/status`
const EVENTS = 'presence/rooms/lobby/events'
const MEMBER = 'presence/rooms/lobby/members/alice'
const END = 'presence/users/end'

const WAYS = ['in its process', 'over MQTT'] as const
type Way = (typeof WAYS)[number]

async function linkTo({ broker, port }: TcpBroker, way: Way, clientId: string): Promise<Link> {
  const link =
    way === 'in its process'
      ? broker.link()
      : await connectMqttLink({ url: `mqtt://bridge@127.0.0.1:${port}`, clientId })
  onTeardown(() => link.close())
  await link.open(['presence/rollcall'], { async onMessage() {}, async onUp() {}, onDown() {} })
  return link
}

describe('what two bridges publish at one broker', () => {
  for (const [first, second] of WAYS.flatMap((one) => WAYS.map((two) => [one, two] as const))) {
    it(`never goes back: the newer ${first}, the older ${second}`, async () => {
      const server = await startTcpBroker({ bridgeUser: 'bridge' })
      const newer = await linkTo(server, first, 'bridge-1')
      const older = await linkTo(server, second, 'bridge-2')
      const reader = await server.connect({ version: 5 })
      reader.acknowledge()
      await reader.subscribe([{ topic: 'presence/#', qos: 1 }])
      reader.forget()
      const retained = { retain: true }
      for (const topic of [USER, STATUS]) {
        await newer.publish(topic, 'online 7', { ...retained, version: 7 })
        await older.publish(topic, 'offline 6', { ...retained, version: 6 })
        await older.publish(topic, '', { ...retained, version: 6 })
      }
      await older.publish(STATUS, 'online 7', { ...retained, version: 7 })
      await newer.publish(MEMBER, '', { ...retained, version: 7 })
      await older.publish(MEMBER, 'joined 6', { ...retained, version: 6 })
      await newer.publish(EVENTS, 'diff 7', { retain: false, version: 7 })
      await older.publish(EVENTS, 'diff 6', { retain: false, version: 6 })
      await older.publish(EVENTS, 'diff 8', { retain: false, version: 8 })
      await newer.publish(USER, 'online 8', { ...retained, version: 8 })
      await older.publish(END, '', { retain: false })
      const messages = await reader.until(END)
      const read = messages.map(({ topic, payload }) => `${topic} ${String(payload)}`)
      expect(read).to.deep.equal([
        `${USER} online 7`,
        `${STATUS} online 7`,
        `${STATUS} online 7`,
        `${MEMBER} `,
        `${EVENTS} diff 7`,
        `${EVENTS} diff 8`,
        `${USER} online 8`,
      ])
      // Readers are not told by what it was decided.
      expect(messages.some(({ properties }) => properties?.userProperties)).to.equal(false)
      const late = await older.readRetained(['presence/users/#', 'presence/rooms/#'])
      const kept = late.map(({ topic, payload }) => `${topic} ${new TextDecoder().decode(payload)}`)
      expect(kept).to.have.members([`${USER} online 8`, `${STATUS} online 7`])
      expect(server.broker.metrics()['fenced']).to.equal(6)
    })
  }

  it('goes through when it has no version', async () => {
    const server = await startTcpBroker({ bridgeUser: 'bridge' })
    const link = await linkTo(server, 'over MQTT', 'bridge-1')
    await link.publish(USER, '7', { retain: true, version: 7 })
    await link.publish(USER, 'whatever', { retain: true })
    const [message] = await link.readRetained([USER])
    expect(new TextDecoder().decode(message?.payload)).to.equal('whatever')
  })

  it('has its version only where a bridge tells of presence: elsewhere a property is just passed on', async () => {
    const server = await startTcpBroker({ bridgeUser: 'bridge' })
    const reader = await server.connect({ version: 5 })
    await reader.subscribe([{ topic: 'app/#', qos: 0 }])
    for (const username of ['ann', 'bridge']) {
      reader.forget()
      const publisher = await server.connect({ version: 5, username })
      for (const version of ['7', '6']) {
        const properties = { userProperties: { version } }
        publisher.publish({ topic: `app/${username}`, payload: version, retain: true, properties })
      }
      const messages = await reader.first(2)
      const read = messages.map(({ properties }) => ({ ...properties?.userProperties }))
      expect(read).to.deep.equal([{ version: '7' }, { version: '6' }])
    }
  })
})
