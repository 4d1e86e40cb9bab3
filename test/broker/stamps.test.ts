import { expect } from 'chai'
import { createBridge } from '../../bridge/index.ts'
import { parseConnectionDocument, type ConnectionDocument } from '../../protocol/index.ts'
import { startTcpBroker, type TcpBroker } from '../helpers/tcp-broker.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { eventually } from '../helpers/within.ts'

/** The documents on the input plane, in the order of arrival. */
async function listen({ broker }: TcpBroker): Promise<readonly ConnectionDocument[]> {
  const heard: ConnectionDocument[] = []
  const decoder = new TextDecoder()
  await broker.link().open(['presence/connections/+/+'], {
    async onUp() {},
    onDown() {},
    async onMessage({ payload }) {
      const document = parseConnectionDocument(decoder.decode(payload))
      if (!document.ok) throw new Error(document.error)
      heard.push(document.value)
    },
  })
  return heard
}

describe('what a broker says of its connections', () => {
  it('is stamped, each document with another number, and later ones of a client with a higher one', async () => {
    const broker = await startTcpBroker()
    const heard = await listen(broker)
    const peer = await broker.connect({ clientId: 'tab' })
    const payload = JSON.stringify({ status: 'online', seq: 1, rooms: { lobby: 1 }, stamp: 1 })
    peer.publish({ topic: 'presence/connections/tab/tab', payload, qos: 1 })
    await eventually('the document', () => heard.length === 2)
    await broker.broker.link().publish('presence/rollcall', '{}', { retain: false })
    await eventually('the answer', () => heard.length === 3)
    peer.stream.destroy()
    await eventually('the end', () => heard.length === 4)
    const stamps = heard.map(({ stamp }) => stamp ?? 0)
    expect(stamps).to.deep.equal([...new Set(stamps)].toSorted((a, b) => a - b))
    expect(stamps[0]).to.be.above(1)
    const [announced, , repeated, ended] = heard
    expect(announced).to.not.have.property('lastSeen')
    expect(repeated).to.deep.include({ status: 'online', seq: 1, rooms: new Map([['lobby', 1]]) })
    expect(repeated?.lastSeen).to.be.within(Date.now() - 5000, Date.now())
    expect(ended).to.include({ status: 'offline', ended: true, reason: 'closed' })
  })
  it('has the size of a document in bytes, and not in characters', async () => {
    const { broker, connect } = await startTcpBroker()
    const peer = await connect({ clientId: 'tab' })
    const payload = JSON.stringify({ status: 'online', data: '한'.repeat(22_000) })
    peer.publish({ topic: 'presence/connections/tab/tab', payload, qos: 1 })
    await eventually('the refusal', () => broker.metrics()['invalidDocuments'] === 1)
  })

  it('is taken by a bridge: a document as large as may be, and the rooms of one with the data of another', async () => {
    const { broker, connect } = await startTcpBroker()
    const bridge = await createBridge({ link: broker.link() })
    onTeardown(() => bridge.close())
    const peer = await connect({ clientId: 'tab' })
    const topic = 'presence/connections/tab/tab'
    for (const shell of [{ data: '' }, { rooms: { lobby: '' } }]) {
      const text = JSON.stringify({ status: 'online', ...shell })
      const payload = text.replace('""', `"${'x'.repeat(65_536 - text.length)}"`)
      peer.publish({ topic, payload, qos: 1 })
    }
    const documents = (): number => bridge.metrics()['documents'] ?? 0
    await eventually('the documents', () => documents() === 3)
    await broker.link().publish('presence/rollcall', '{}', { retain: false })
    await eventually('the answer', () => documents() === 4)
    expect(bridge.metrics()).to.include({ invalid: 0 })
  })
})
