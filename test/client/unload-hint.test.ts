import { expect } from 'chai'
import { connectClient } from '../helpers/mqtt.ts'
import { startProgram, type Program } from '../helpers/process.ts'
import { isOffline, json, watch } from '../helpers/presence-reader.ts'

const KEY = 'a-key-that-nobody-can-guess'
const OTHER_KEY = 'another-key-that-nobody-can-guess'

describe('an unload hint over HTTP', function () {
  this.timeout(20_000)

  it('counts for the connection that has shown the key, which nobody else ever sees', async () => {
    const program = await startProgram()
    const reader = await watch(program, 'presence/#')
    const client = await connectClient(program, { user: 'alice' })
    await client.say({ status: 'online', rooms: { lobby: {} }, unloadKey: KEY })
    expect(await hint(program, 'some other key, as long as it is')).to.equal(204)
    expect(await hint(program, KEY)).to.equal(204)
    const said = await reader.next(
      ({ topic, text }) => topic.includes('/connections/') && text.includes('unload'),
    )
    expect(json(said)).to.include({ status: 'offline', reason: 'unload' })
    const offline = await reader.next(isOffline('alice'), 3000)
    expect(offline.at - said.at).to.be.within(1900, 2300)

    // It is back, with another key: what was on its way with the first one is too late.
    await client.say({ status: 'online', rooms: { lobby: {} }, unloadKey: OTHER_KEY })
    await hint(program, KEY)
    await reader.caughtUp()
    expect(json(await reader.next('presence/users/alice'))['status']).to.equal('online')
    await program.metrics()
    expect(reader.messages.filter(({ text }) => text.includes('nobody-can-guess'))).to.deep.equal(
      [],
    )
  })

  it('is not for a connection that claims the key of another one', async () => {
    const program = await startProgram()
    const reader = await watch(program, 'presence/connections/#')
    const alice = await connectClient(program, { user: 'alice' })
    await alice.say({ status: 'online', unloadKey: KEY })
    const mallory = await connectClient(program, { user: 'mallory' })
    await mallory.say({ status: 'online', unloadKey: KEY })
    await hint(program, KEY)
    const said = await reader.next(({ text }) => text.includes('unload'))
    expect(said.topic).to.contain('/alice/')
    await alice.leave()
    await hint(program, KEY)
    await reader.caughtUp()
    expect(reader.messages.filter(({ text }) => text.includes('"unload"'))).to.have.length(1)
  })

  it('is a POST of a few bytes', async () => {
    const program = await startProgram()
    const url = `http://127.0.0.1:${program.httpPort}/unload`
    expect((await fetch(url)).status).to.equal(405)
    expect(await hint(program, '')).to.equal(204)
    expect(await hint(program, 'x'.repeat(100_000))).to.equal(204)
  })
})

async function hint({ httpPort }: Program, body: string): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${httpPort}/unload`, { method: 'POST', body })
  return answer.status
}
