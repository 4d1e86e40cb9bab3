import { expect } from 'chai'
import { said, settled, SLEEPER, V5 } from '../helpers/mqtt-peer.ts'
import { drop, startTcpBroker } from '../helpers/tcp-broker.ts'

describe('shared subscriptions', () => {
  it('give each message to one of the group in turn, and to others besides', async () => {
    const { connect } = await startTcpBroker()
    const members = [await connect(V5), await connect(V5), await connect({ version: 4 })]
    for (const member of members) {
      const { granted } = await member.subscribe([{ topic: '$share/workers/jobs/+', qos: 1 }])
      expect(granted).to.deep.equal([1])
      await member.subscribe([{ topic: 'end' }])
    }
    const [other, alone] = [await connect(V5), await connect(V5)]
    await other.subscribe([{ topic: 'jobs/#' }, { topic: 'end' }])
    await alone.subscribe([{ topic: '$share/alone/jobs/#' }, { topic: 'end' }])
    const publisher = await connect()
    for (let i = 0; i < 30; i++) publisher.publish({ topic: `jobs/${i}`, qos: 2 })
    publisher.publish({ topic: 'end' })
    const shares = await Promise.all(members.map((member) => member.until('end')))
    expect(shares.map(({ length }) => length)).to.deep.equal([10, 10, 10])
    expect(new Set(shares.flat().map(({ topic }) => topic)).size).to.equal(30)
    expect(await other.until('end')).to.have.length(30)
    expect(await alone.until('end')).to.have.length(30)
  })

  it('give a client a message once more than its other subscriptions do', async () => {
    const { connect } = await startTcpBroker()
    for (const options of [V5, SLEEPER]) {
      const reader = await connect(options)
      await reader.subscribe([
        { topic: '$share/g/n', qos: 1 },
        { topic: 'n', qos: 1 },
        { topic: 'end', qos: 1 },
      ])
      reader.publish({ topic: 'n', qos: 1 })
      reader.publish({ topic: 'end', qos: 1 })
      expect(await reader.until('end')).to.have.length(2)
      await reader.request(
        { cmd: 'unsubscribe', messageId: 99, unsubscriptions: ['$share/g/n'] },
        'unsuback',
      )
      reader.messages.length = 0
      reader.publish({ topic: 'n', qos: 1 })
      reader.publish({ topic: 'end', qos: 1 })
      expect(await reader.until('end')).to.have.length(1)
    }
  })

  it('go on without a member that has gone, and bring nothing that is retained', async () => {
    const house = await startTcpBroker()
    const publisher = await house.connect()
    publisher.publish({ topic: 'n', retain: true, qos: 1, payload: 'retained' })
    await settled(publisher)
    const [first, second] = [await house.connect(V5), await house.connect(V5)]
    for (const peer of [first, second]) {
      await peer.subscribe([{ topic: '$share/g/n', qos: 1 }])
      await peer.subscribe([{ topic: 'end' }])
    }
    await drop(first, house)
    for (const payload of ['1', '2']) publisher.publish({ topic: 'n', qos: 1, payload })
    await settled(publisher)
    publisher.publish({ topic: 'end' })
    expect(said(await second.until('end'))).to.deep.equal(['1', '2'])
  })

  it('keep a message for one of those who come back, when nobody is there', async () => {
    const house = await startTcpBroker()
    const publisher = await house.connect()
    const sleepers = ['one', 'two'].map((clientId) => ({ ...SLEEPER, clientId }))
    for (const options of sleepers) {
      const member = await house.connect(options)
      await member.subscribe([
        { topic: '$share/g/n/+', qos: 1 },
        { topic: '$share/h/n/#', qos: 2 },
        { topic: '$share/plain/n/#', qos: 0 },
      ])
      await drop(member, house)
    }
    const topics = [1, 2, 3, 4].map((i) => `n/${i}`)
    for (const topic of topics) publisher.publish({ topic, qos: 2 })
    publisher.publish({ topic: 'n/plain' })
    await settled(publisher)
    const got: string[][] = []
    for (const options of sleepers) {
      const back = await house.connect(options)
      await back.subscribe([{ topic: 'end', qos: 1 }])
      publisher.publish({ topic: 'end', qos: 1 })
      const messages = await back.until('end')
      got.push(messages.map(({ topic, qos }) => `${topic} at ${qos}`))
    }
    // Of each group once, and shared out.
    const expected = topics.flatMap((topic) => [`${topic} at 1`, `${topic} at 2`])
    expect(got.flat().toSorted()).to.deep.equal(expected)
    expect(got.map(({ length }) => length)).to.deep.equal([4, 4])
  })

  it('keep nothing for who is away while another one is there', async () => {
    const house = await startTcpBroker()
    const publisher = await house.connect()
    const away = await house.connect(SLEEPER)
    await away.subscribe([{ topic: '$share/g/n', qos: 1 }])
    await drop(away, house)
    const member = await house.connect(V5)
    await member.subscribe([{ topic: '$share/g/n', qos: 1 }])
    for (const payload of ['1', '2']) publisher.publish({ topic: 'n', qos: 1, payload })
    expect(said(await member.first(2))).to.deep.equal(['1', '2'])
    const back = await house.connect(SLEEPER)
    await back.subscribe([{ topic: 'end', qos: 1 }])
    publisher.publish({ topic: 'end', qos: 1 })
    expect(await back.until('end')).to.deep.equal([])
  })

  it('keep nothing any more for who has unsubscribed', async () => {
    const house = await startTcpBroker()
    const publisher = await house.connect()
    const first = await house.connect(SLEEPER)
    await first.subscribe([{ topic: '$share/g/n', qos: 1 }])
    await first.request(
      { cmd: 'unsubscribe', messageId: 9, unsubscriptions: ['$share/g/n'] },
      'unsuback',
    )
    await drop(first, house)
    publisher.publish({ topic: 'n', qos: 1 })
    await settled(publisher)
    const back = await house.connect(SLEEPER)
    await back.subscribe([{ topic: 'end', qos: 1 }])
    publisher.publish({ topic: 'end', qos: 1 })
    expect(await back.until('end')).to.deep.equal([])
  })
})
