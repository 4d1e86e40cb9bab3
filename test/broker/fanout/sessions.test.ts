import { expect } from 'chai'

import { PACKET, startBroker } from './stage.ts'

describe('the fan-out and persistent sessions', () => {
  const SESSION = {
    clientId: 'sleeper',
    version: 5,
    clean: false,
    properties: { sessionExpiryInterval: 60 },
  } as const

  it('an acknowledged message is not sent again, whatever flags it had', async () => {
    const { connect } = await startBroker()
    const first = await connect(SESSION)
    const publisher = await connect()
    await first.subscribe([{ topic: '#', qos: 1, rap: true }])
    publisher.publish({ topic: 'kept', retain: true, qos: 1, payload: 'x' })
    publisher.publish({ topic: 'plain', qos: 1 })
    await first.first(2)
    for (const { messageId } of first.messages)
      first.send({ cmd: 'puback', messageId: messageId ?? 0 })
    await first.request({ cmd: 'pingreq' }, 'pingresp')
    first.stream.destroy()

    const second = await connect(SESSION)
    publisher.publish({ topic: 'end', qos: 1 })
    expect(await second.until('end')).to.deep.equal([])
  })

  it('a message without an acknowledgement is sent again', async () => {
    const { connect } = await startBroker()
    const first = await connect(SESSION)
    const publisher = await connect()
    await first.subscribe([{ topic: '#', qos: 1 }])
    publisher.publish({ topic: 'news', qos: 1 })
    await first.until('news')
    first.stream.destroy()

    const second = await connect(SESSION)
    publisher.publish({ topic: 'end', qos: 1 })
    expect((await second.until('end')).map(({ topic }) => topic)).to.deep.equal(['news'])
  })

  it('what was withheld is not sent later either', async () => {
    const { connect } = await startBroker({ mayRead: (_client, { topic }) => topic !== 'secret' })
    const first = await connect(SESSION)
    await first.subscribe([
      { topic: 'news', qos: 1, nl: true },
      { topic: 'secret', qos: 1 },
      { topic: 'end', qos: 1 },
    ])
    first.publish({ topic: 'news', qos: 1, payload: 'mine' })
    first.publish({ topic: 'secret', qos: 1 })
    await first.request({ cmd: 'pingreq' }, 'pingresp')
    first.stream.destroy()

    const second = await connect(SESSION)
    const publisher = await connect()
    publisher.publish({ topic: 'end', qos: 1 })
    expect(await second.until('end')).to.deep.equal([])
  })

  it('nothing is sent before CONNACK to a session that is restored', async () => {
    const { aedes, connect } = await startBroker()
    const first = await connect(SESSION)
    await first.subscribe([{ topic: '#', qos: 0 }])
    first.stream.destroy()
    // The moment between the restored subscriptions and CONNACK.
    aedes.on('client', () => {
      aedes.publish({ ...PACKET, topic: 'early' }, () => {})
    })
    const second = await connect(SESSION)
    const publisher = await connect()
    publisher.publish({ topic: 'end' })
    const messages = await second.until('end')
    // The second one is of the publisher's own connection.
    expect(messages.map(({ topic }) => topic)).to.deep.equal(['early'])
  })
})
