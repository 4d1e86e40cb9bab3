import { expect } from 'chai'
import mqtt from 'mqtt'
import { describeTogether } from '../helpers/concurrently.ts'
import { connectOptions, urlOf } from '../helpers/connect-options.ts'
import { connectClient } from '../helpers/mqtt.ts'
import { isOffline, json, watch, type Reader } from '../helpers/presence-reader.ts'
import { startProgram, type Program } from '../helpers/process.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { eventually } from '../helpers/within.ts'
import { WAYS } from './ways.ts'

/** How long the program stands still: longer than 1.5 times the keepalive of everybody. */
const STOPPED_MS = 6000
const KEEPALIVE = 2

/** Stops the program, and lets it go on as if nothing had been. */
async function standStill(server: Program): Promise<void> {
  server.kill('SIGSTOP')
  await new Promise((resolve) => setTimeout(resolve, STOPPED_MS))
  server.kill('SIGCONT')
}

/** What was said of people other than those who come to mark a time. */
function statuses(reader: Reader, user: string): unknown[] {
  return reader.messages
    .filter(({ topic }) => topic === `presence/users/${user}`)
    .map((message) => json(message)['status'])
}

describeTogether(
  'a server that stands still for longer than every keepalive',
  40_000,
  (scenario) => {
    scenario('drops none of 20 clients, and nobody is offline', async () => {
      const flags = ['--grace-timeout', '0', '--grace-closed', '0', '--keepalive-tolerance', '0']
      const server = await startProgram({ flags })
      const reader = await watch(server, 'presence/users/+')
      const clients = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          connectRaw(server, { user: `user-${i}`, keepalive: KEEPALIVE, ...WAYS[i % WAYS.length] }),
        ),
      )
      const pings = setInterval(() => clients.forEach((client) => client.ping()), 1000)
      onTeardown(() => clearInterval(pings))
      await reader.caughtUp()

      await standStill(server)
      await reader.caughtUp()
      // One who goes silent now is given up; by then everybody would have been.
      await connectRaw(server, { user: 'silent', keepalive: KEEPALIVE })
      await reader.find(isOffline('silent'), 10_000)
      for (const { user, isClosed } of clients) {
        expect(isClosed, user).to.equal(false)
        expect(statuses(reader, user)).to.deep.equal(['online'])
      }
      expect((await server.metrics()).get('presence_broker_stalls_total')).to.equal(1)
    })

    scenario(
      'drops nobody who was as silent as it was deaf, as when the machine is suspended',
      async () => {
        const flags = ['--grace-timeout', '0', '--grace-closed', '0', '--keepalive-tolerance', '0']
        const server = await startProgram({ flags })
        const reader = await watch(server, 'presence/users/+')
        const clients = await Promise.all(
          WAYS.map((way, i) =>
            connectRaw(server, { user: `user-${i}`, keepalive: KEEPALIVE, ...way }),
          ),
        )
        for (const client of clients) client.ping()
        await reader.caughtUp()
        await standStill(server)
        // Well within their keepalive, had there been no standstill.
        await new Promise((resolve) => setTimeout(resolve, 700))
        const pings = setInterval(() => clients.forEach((client) => client.ping()), 1000)
        onTeardown(() => clearInterval(pings))
        await connectRaw(server, { user: 'silent', keepalive: KEEPALIVE })
        await reader.find(isOffline('silent'), 10_000)
        for (const { user, isClosed } of clients) {
          expect(isClosed, user).to.equal(false)
          expect(statuses(reader, user)).to.deep.equal(['online'])
        }
      },
    )

    scenario('holds those who lost patience with it until they are back', async () => {
      const flags = ['--grace-timeout', '0', '--grace-closed', '0', '--grace-broker', '10s']
      const server = await startProgram({ flags })
      const reader = await watch(server, 'presence/users/+')
      const clients = WAYS.map(({ version, transport }, i) => {
        const options = { user: `user-${i}`, version, transport, keepalive: KEEPALIVE }
        const client = mqtt.connect(urlOf(server, transport), {
          ...connectOptions(options),
          reconnectPeriod: 300,
        })
        onTeardown(() => client.endAsync(true))
        client.on('error', () => {})
        let closes = 0
        client.on('close', () => closes++)
        return { client, user: options.user, closes: () => closes }
      })
      await eventually('all are connected', () => clients.every(({ client }) => client.connected))
      await reader.caughtUp()

      await standStill(server)
      await eventually(
        'all have lost patience, and are back',
        () => clients.every(({ client, closes }) => closes() > 0 && client.connected),
        15_000,
      )
      await reader.caughtUp()
      for (const { user } of clients) {
        expect(statuses(reader, user)).to.deep.equal(['online'])
        expect(json({ text: reader.last(`presence/users/${user}`) ?? '' })).to.include({
          connections: 1,
        })
      }
    })

    scenario('still notices who has gone meanwhile', async () => {
      const server = await startProgram({ flags: ['--grace-broker', '1s', '--grace-closed', '0'] })
      const reader = await watch(server, 'presence/users/+')
      const gone = await connectClient(server, { user: 'gone' })
      await reader.find('presence/users/gone')
      server.kill('SIGSTOP')
      gone.cut()
      await new Promise((resolve) => setTimeout(resolve, 2000))
      server.kill('SIGCONT')
      const offline = await reader.find(isOffline('gone'))
      // It may have gone because the server did not answer.
      expect(json(offline)).to.include({ reason: 'broker' })
    })
  },
)

describe('a server that is told to stop', function () {
  this.timeout(20_000)

  it('says so, lets the wills out, and exits with 0 within 5 s', async () => {
    const server = await startProgram()
    const reader = await watch(server, ['presence/bridge/status', 'devices/#'])
    expect((await reader.next('presence/bridge/status')).text).to.equal('online')
    for (const [i, way] of WAYS.entries()) {
      const will = { topic: `devices/${i}`, payload: 'dead' }
      await connectClient(server, { ...way, user: `user-${i}`, will })
    }
    const told = performance.now()
    const { code } = await server.stop()
    expect(code).to.equal(0)
    expect(performance.now() - told).to.be.below(5000)
    expect((await reader.next('presence/bridge/status')).text).to.equal('offline')
    const wills = reader.messages.filter(({ text }) => text === 'dead')
    expect(wills.map(({ topic }) => topic).toSorted()).to.deep.equal(
      WAYS.map((_, i) => `devices/${i}`),
    )
  })

  it('exits within 5 s though a client does not read what it is sent', async () => {
    const server = await startProgram()
    const deaf = await connectClient(server, { user: 'deaf' })
    await deaf.mqtt.subscribeAsync('flood')
    deaf.mqtt.stream.pause()
    const writer = await connectClient(server, { user: 'writer' })
    const load = Buffer.alloc(100_000)
    await Promise.all(Array.from({ length: 50 }, () => writer.publish('flood', load)))
    const told = performance.now()
    expect((await server.stop()).code).to.equal(0)
    expect(performance.now() - told).to.be.below(5000)
  })

  it('as a broker tells its bridge that its clients go through no fault of their own', async () => {
    const broker = await startProgram({ command: 'broker' })
    const reader = await watch(broker, 'presence/connections/+/+')
    await connectClient(broker, { user: 'alice', clientId: 'laptop' })
    await reader.next('presence/connections/alice/laptop')
    await broker.stop()
    const end = json(await reader.next('presence/connections/alice/laptop'))
    expect(end).to.include({ status: 'offline', reason: 'broker', ended: true })
  })
})
