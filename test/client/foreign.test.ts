import { expect } from 'chai'
import { startProgram } from '../helpers/process.ts'
import { isOffline, json, watch } from '../helpers/presence-reader.ts'
import { startBrowser } from './browser.ts'
import { startForeignBroker } from './foreign-broker.ts'
import { isOnline, membersOf } from './page-state.ts'
import { startSite } from './site.ts'

describe('on a foreign broker with the bridge attached', function () {
  this.timeout(90_000)

  it('the client speaks for itself: birth, will, unload, leave, and it answers the roll call', async () => {
    const mosquitto = await startForeignBroker()
    const flags = ['--broker', `mqtt://127.0.0.1:${mosquitto.mqttPort}`, '--bridge-id', 'b']
    const bridge = await startProgram({ command: 'bridge', flags })
    const site = await startSite(mosquitto.webSocketPort)
    const address = { host: '127.0.0.1', mqttPort: mosquitto.mqttPort, httpPort: 0 }
    const reader = await watch(address, ['presence/users/#', 'presence/connections/#'])
    const browser = await startBrowser()
    const options = { broker: 'foreign', worker: 'dedicated', rooms: { lobby: {} } }
    const alice = await browser.open(site.page({ ...options, user: 'alice' }))
    await isOnline(alice)
    const bob = await browser.open(site.page({ ...options, user: 'bob' }))
    await isOnline(bob)
    await membersOf(alice, 'lobby', ['alice', 'bob'])
    for (const { topic, text } of reader.messages) {
      if (topic.includes('/connections/') && text !== '') expect(text).to.not.contain('unloadKey')
    }

    // A bridge that comes back calls the roll: nobody is lost, nobody blinks.
    const before = reader.messages.length
    await bridge.stop()
    await startProgram({ command: 'bridge', flags })
    await reader.next(
      ({ topic, text }) => topic.includes('/connections/alice/') && text.includes('"online"'),
    )
    await new Promise((resolve) => setTimeout(resolve, 7000))
    const since = reader.messages.slice(before)
    expect(since.filter((m) => isOffline('alice')(m) || isOffline('bob')(m))).to.deep.equal([])
    await membersOf(alice, 'lobby', ['alice', 'bob'])

    // leave() says so before DISCONNECT, which discards the will.
    await bob.evaluate('presence.leave()')
    expect(json(await reader.next(isOffline('bob')))['reason']).to.equal('left')
    await membersOf(alice, 'lobby', ['alice'])

    const carol = await browser.open(site.page({ ...options, user: 'carol' }))
    await isOnline(carol)
    const began = performance.now()
    await carol.close()
    const unloaded = await reader.next(isOffline('carol'))
    expect(json(unloaded)['reason']).to.equal('unload')
    expect(unloaded.at - began).to.be.below(3500)

    // The will.
    browser.kill('SIGKILL')
    expect(json(await reader.next(isOffline('alice'), 8000))['reason']).to.equal('closed')
  })
})
