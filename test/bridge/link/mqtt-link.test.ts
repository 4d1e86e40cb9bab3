import { Aedes, type Connection } from 'aedes'
import { expect } from 'chai'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { connectMqttLink } from '../../../bridge/index.ts'
import { createBroker } from '../../../broker/index.ts'
import { silentLogger, type Logger } from '../../../runtime/logger.ts'
import { onTeardown } from '../../helpers/teardown.ts'
import { eventually } from '../../helpers/within.ts'

const UPTIME = '$SYS/broker/uptime'

describe('a link to a broker that says for how long it has been running', function () {
  this.timeout(15_000)

  it('is up when that is known, and not if it has gone again meanwhile', async () => {
    const aedes = await Aedes.createBroker()
    const server = createServer((socket) => void aedes.handle(socket)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTeardown(async () => {
      await new Promise<void>((resolve) => aedes.close(() => resolve()))
      server.close()
    })
    const say = (text: string): void =>
      aedes.publish(
        { cmd: 'publish', topic: UPTIME, payload: text, qos: 0, retain: true, dup: false },
        () => {},
      )
    say('100 seconds')
    /** Who has asked for the time, and waits for SUBACK. */
    const asking: (() => void)[] = []
    let isHeld = false
    aedes.authorizeSubscribe = (client, sub, done) => {
      const grant = (): void => done(null, sub)
      if (isHeld && sub.topic === UPTIME && client?.id !== 'link') asking.push(grant)
      else grant()
    }
    const told: string[] = []
    const { port } = server.address() as AddressInfo
    const link = await connectMqttLink({ url: `mqtt://127.0.0.1:${port}`, clientId: 'link' })
    onTeardown(() => link.close())
    /** Of the link, not of what it reads with. */
    const sockets: Connection[] = []
    aedes.on('client', ({ id, conn }) => id === 'link' && sockets.push(conn))
    let seen = 0
    aedes.on('subscribe', (subs) => subs.some(({ topic }) => topic === UPTIME) && seen++)
    await link.open(['presence/brokers/+'], {
      onMessage: async () => {},
      onUp: async (resumed) => void told.push(resumed ? 'up again' : 'up anew'),
      onDown: () => told.push('down'),
    })
    await eventually('it reads the time', () => seen === 1)
    const cut = (): void => void sockets.at(-1)?.destroy()

    isHeld = true
    cut()
    await eventually('it asks for the time', () => asking.length > 0)
    expect(told).to.deep.equal(['up anew', 'down'])
    cut()
    asking.shift()?.()
    await eventually('it asks once more', () => asking.length > 0)
    expect(told).to.deep.equal(['up anew', 'down'])
    isHeld = false
    asking.shift()?.()
    await eventually('it is up', () => told.length === 3)
    expect(told).to.deep.equal(['up anew', 'down', 'up again'])

    isHeld = true
    cut()
    await eventually('it asks for the time', () => asking.length > 0)
    say('3 seconds')
    asking.shift()?.()
    await eventually('it is up', () => told.length === 5)
    expect(told.slice(3)).to.deep.equal(['down', 'up anew'])
  })
})

describe('a link whose id another one has, too', () => {
  it('says why it is thrown out', async () => {
    const broker = await createBroker({ mqttPort: 0 })
    onTeardown(() => broker.close())
    const url = `mqtt://127.0.0.1:${broker.mqttPort}`
    const warnings: string[] = []
    const logger: Logger = {
      ...silentLogger,
      warn: (_fields, message) => void warnings.push(message),
    }
    const handlers = { onMessage: async () => {}, onUp: async () => {}, onDown: () => {} }
    for (let n = 0; n < 2; n++) {
      const link = await connectMqttLink({ url, clientId: 'same', logger })
      onTeardown(() => link.close())
      await link.open(['presence/brokers/+'], handlers)
    }
    await eventually('it is said', () => warnings.length > 0)
    expect(warnings[0]).to.include('another bridge has the same id')
  })
})
