import { expect } from 'chai'
import { connectClient } from '../helpers/mqtt.ts'
import { json, readRetained, watch } from '../helpers/presence-reader.ts'
import { startProgram } from '../helpers/process.ts'
import { WAYS } from './ways.ts'

describe('connecting', function () {
  this.timeout(20_000)

  for (const way of WAYS) {
    it(`is being online, and DISCONNECT is being offline at once: MQTT ${way.version} over ${way.transport}`, async () => {
      const server = await startProgram()
      const reader = await watch(server, 'presence/users/#')

      const alice = await connectClient(server, { ...way, user: 'alice', clientId: 'laptop' })
      const online = json(await reader.next('presence/users/alice'))
      expect(online).to.deep.include({
        user: 'alice',
        status: 'online',
        reason: null,
        connections: 1,
        data: null,
      })
      expect((await reader.next('presence/users/alice/status')).text).to.equal('online')

      const before = performance.now()
      await alice.leave()
      const gone = await reader.next('presence/users/alice')
      const status = await reader.next('presence/users/alice/status')
      expect(json(gone)).to.deep.include({ status: 'offline', reason: 'left', connections: 0 })
      expect(json(gone)['version']).to.be.above(Number(online['version']))
      expect(status.text).to.equal('offline')
      expect(Math.max(gone.at, status.at) - before).to.be.below(100)
    })
  }

  it('without a user name is being online under the client id', async () => {
    const server = await startProgram()
    const reader = await watch(server, 'presence/users/#')
    await connectClient(server, { clientId: 'thermometer-7', version: '3.1.1' })
    expect(json(await reader.next('presence/users/thermometer-7'))).to.include({ status: 'online' })
  })

  it('is retained for whoever asks later', async () => {
    const server = await startProgram()
    await connectClient(server, { user: 'alice' })
    const reader = await watch(server, 'presence/users/#')
    const status = await reader.find('presence/users/alice/status')
    expect(status).to.include({ text: 'online', retain: true })
    expect(json(await reader.find('presence/users/alice'))).to.include({ status: 'online' })
  })

  it('with neither a name nor a client id is being nobody', async () => {
    const server = await startProgram()
    const reader = await watch(server, 'presence/users/+')
    await connectClient(server, { clientId: '' })
    await connectClient(server, { clientId: '', version: '3.1.1' })
    await connectClient(server, { user: 'alice' })
    await reader.next('presence/users/alice')
    expect(reader.messages).to.have.length(1)
    expect([...(await readRetained(server, 'presence/users/+')).keys()]).to.deep.equal([
      'presence/users/alice',
    ])
  })

  it('says since when, and when a user was last heard', async () => {
    const server = await startProgram()
    const reader = await watch(server, 'presence/users/+')
    const before = Date.now()
    const alice = await connectClient(server, { user: 'alice' })
    const online = json(await reader.next('presence/users/alice'))
    await alice.leave()
    const offline = json(await reader.next('presence/users/alice'))
    const after = Date.now()
    for (const document of [online, offline]) {
      for (const name of ['since', 'lastSeen']) {
        expect(document[name]).to.be.a('string')
        const time = new Date(document[name] as string)
        expect(time.getTime()).to.be.within(before, after)
        expect(document[name]).to.equal(time.toISOString())
      }
    }
  })
})
