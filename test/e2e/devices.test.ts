import { expect } from 'chai'
import { connectClient } from '../helpers/mqtt.ts'
import { runMosquitto } from '../helpers/mosquitto-client.ts'
import { isOffline, json, readRetained, watch } from '../helpers/presence-reader.ts'
import { startProgram } from '../helpers/process.ts'
import { WAYS } from './ways.ts'

const TOPIC = 'presence/connections/lamp/lamp-1'

describe('a device that knows nothing but plain words', function () {
  this.timeout(20_000)

  for (const version of ['mqttv31', 'mqttv311', 'mqttv5']) {
    it(`takes part by its birth and its will: mosquitto_pub, ${version}`, async () => {
      const server = await startProgram({ flags: ['--grace-closed', '300ms'] })
      const reader = await watch(server, 'presence/users/lamp/#')
      const identity = ['-V', version, '-i', 'lamp-1', '-u', 'lamp', '-q', '1']
      const will = ['--will-topic', TOPIC, '--will-payload', 'offline', '--will-retain']
      const device = runMosquitto('mosquitto_pub', server, ...identity, ...will, '-t', TOPIC, '-l')
      device.write('online')
      expect((await reader.next('presence/users/lamp/status')).text).to.equal('online')

      device.write('AWAY')
      expect(json(await reader.next(({ text }) => text.includes('"away"')))).to.deep.include({
        user: 'lamp',
        status: 'away',
        connections: 1,
      })
      device.write('Online')
      expect(json(await reader.next('presence/users/lamp'))).to.include({ status: 'online' })

      device.kill('SIGKILL')
      expect(json(await reader.find(isOffline('lamp')))).to.include({ reason: 'closed' })
      expect((await reader.next('presence/users/lamp/status')).text).to.equal('offline')
      // Its will was retained, and would speak for it for ever.
      expect(await readRetained(server, 'presence/connections/#')).to.deep.equal(new Map())
    })
  }

  it('is offline after grace.closed when it says so itself, and online when it says that', async () => {
    const server = await startProgram({ flags: ['--grace-closed', '300ms'] })
    const reader = await watch(server, 'presence/users/lamp/#')
    const lamp = await connectClient(server, { user: 'lamp', clientId: 'lamp-1' })
    await reader.next('presence/users/lamp')
    const said = performance.now()
    await lamp.say('offline')
    const gone = await reader.next('presence/users/lamp')
    expect(json(gone)).to.include({ status: 'offline', reason: 'closed' })
    expect(gone.at - said).to.be.within(300, 800)
    await lamp.say('online')
    expect(json(await reader.next('presence/users/lamp'))).to.include({ status: 'online' })
  })

  it('leaves at once with an empty payload, or as left', async () => {
    const server = await startProgram()
    const reader = await watch(server, 'presence/users/lamp')
    const lamp = await connectClient(server, { user: 'lamp', clientId: 'lamp-1' })
    for (const goodbye of ['', { status: 'offline', reason: 'left' }]) {
      await lamp.say('online')
      await reader.next(({ text }) => text.includes('"online"'))
      const said = performance.now()
      await lamp.say(goodbye)
      const gone = await reader.next(isOffline('lamp'))
      expect(json(gone)).to.include({ reason: 'left' })
      expect(gone.at - said).to.be.below(300)
    }
  })

  for (const way of WAYS) {
    it(`gets its own will on another topic, and presence: MQTT ${way.version} over ${way.transport}`, async () => {
      const server = await startProgram({ flags: ['--grace-closed', '0'] })
      const reader = await watch(server, ['presence/users/lamp', 'home/lamp/availability'])
      const will = { topic: 'home/lamp/availability', payload: 'dead', retain: true }
      const lamp = await connectClient(server, { ...way, user: 'lamp', will })
      await reader.next('presence/users/lamp')
      lamp.cut()
      expect((await reader.find('home/lamp/availability')).text).to.equal('dead')
      expect(json(await reader.find(isOffline('lamp')))).to.include({ reason: 'closed' })
      expect(await readRetained(server, 'home/#')).to.deep.equal(
        new Map([['home/lamp/availability', 'dead']]),
      )
    })
  }

  it('does not speak for another device', async () => {
    const server = await startProgram()
    const reader = await watch(server, 'presence/users/+')
    const thief = await connectClient(server, { user: 'thief', version: '3.1.1' })
    await connectClient(server, { user: 'lamp', clientId: 'lamp-1' })
    await thief.publish(TOPIC, '')
    await thief.publish('presence/users/lamp', '')
    await thief.publish('presence/users/lamp/status', 'offline', true)
    await reader.caughtUp()
    const said = reader.messages.filter(({ topic }) => topic === 'presence/users/lamp')
    expect(said.map((message) => json(message)['status'])).to.deep.equal(['online'])
    expect(reader.last('presence/users/lamp/status')).to.equal(undefined)
    const refused = server.log.filter(({ user }) => user === 'thief')
    expect(refused.map(({ topic }) => topic)).to.deep.equal([
      TOPIC,
      'presence/users/lamp',
      'presence/users/lamp/status',
    ])
  })
})

describe('what is read by the plain word', function () {
  this.timeout(20_000)

  it('is retained: whether a user is online, and whether presence is fresh', async () => {
    const server = await startProgram({ flags: ['--grace-closed', '0'] })
    const lamp = await connectClient(server, { user: 'lamp' })
    const bulb = await connectClient(server, { user: 'bulb' })
    await bulb.leave()
    const filters = ['-t', 'presence/users/+/status', '-t', 'presence/bridge/status']
    const home = runMosquitto('mosquitto_sub', server, '-v', ...filters, '-C', '3', '-W', '5')
    await home.exited
    expect(home.lines.toSorted()).to.deep.equal([
      'presence/bridge/status online',
      'presence/users/bulb/status offline',
      'presence/users/lamp/status online',
    ])
    lamp.cut()
  })

  it('is cleared with everything else about a user who has been offline for long enough', async () => {
    const server = await startProgram({ flags: ['--retained-offline', '2s'] })
    const reader = await watch(server, ['presence/users/#', 'presence/rooms/#'])
    const alice = await connectClient(server, { user: 'alice' })
    await alice.say({ status: 'online', rooms: { lobby: null } })
    const bob = await connectClient(server, { user: 'bob' })
    await reader.caughtUp()
    await alice.leave()
    const gone = await reader.find(isOffline('alice'))
    for (const topic of ['presence/users/alice', 'presence/users/alice/status']) {
      const cleared = await reader.find((m) => m.topic === topic && m.text === '', 5000)
      expect(cleared.at - gone.at, topic).to.be.within(1950, 2750)
    }
    for (const topic of ['presence/rooms/lobby', 'presence/rooms/lobby/count']) {
      await reader.find((m) => m.topic === topic && m.text === '', 5000)
    }
    await bob.say({ status: 'away' })
    await reader.caughtUp()
    const retained = await readRetained(server, 'presence/users/#', 'presence/rooms/#')
    expect(
      [...retained.keys()].filter((topic) => !topic.includes('marker-')).toSorted(),
    ).to.deep.equal(['presence/users/bob', 'presence/users/bob/status'])
    // Who comes back begins where he left: versions never fall.
    const before = Number(json(gone)['version'])
    await connectClient(server, { user: 'alice' })
    const again = await reader.next(
      ({ topic, text, at }) =>
        topic === 'presence/users/alice' && text !== '' && at > gone.at + 1000,
    )
    expect(Number(json(again)['version'])).to.be.above(before)
  })
})
