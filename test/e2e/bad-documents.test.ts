import { expect } from 'chai'
import { connectClient } from '../helpers/mqtt.ts'
import { json, snapshotIn, watch } from '../helpers/presence-reader.ts'
import { startProgram, type Program } from '../helpers/process.ts'

function many(count: number): Record<string, null> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`room-${i}`, null]))
}

/** Documents that are none, and what the log has to say about each. */
const BAD: readonly (readonly [string, string | Buffer, RegExp])[] = [
  ['text', 'hello there', /expected JSON, got something else: "hello there"/],
  ['half a document', '{"status":"online"', /expected JSON/],
  ['an array', '["online"]', /expected an object or one of online, away, offline/],
  ['a number', '1', /expected an object or one of/],
  ['null', 'null', /expected an object or one of/],
  ['no status', '{}', /expected status online, away or offline, got nothing/],
  ['another status', '{"status":"busy"}', /got "busy"/],
  ['a status that is a list', '{"status":["online"]}', /expected status/],
  ['rooms in a list', '{"status":"online","rooms":["a"]}', /rooms: expected an object/],
  ['rooms in a text', '{"status":"online","rooms":"a"}', /rooms: expected an object/],
  ['a room without a name', '{"status":"online","rooms":{"":1}}', /room names of 1 to 256/],
  [
    'a room with half a character',
    '{"status":"online","rooms":{"\\ud800":1}}',
    /room names of 1 to 256/,
  ],
  ['a seq that is a text', '{"status":"online","seq":"1"}', /seq: expected a whole number/],
  ['a negative seq', '{"status":"online","seq":-1}', /seq: expected a whole number/],
  ['a strange reason', '{"status":"offline","reason":"bored"}', /reason: expected a cause/],
  ['a strange grace', '{"status":"online","grace":{"closed":"soon"}}', /grace\.closed: expected/],
  ['a grace by no cause', '{"status":"online","grace":{"__proto__":1}}', /grace: expected causes/],
  ['a strange tolerance', '{"status":"online","tolerance":-1}', /tolerance: expected a duration/],
  [
    '1 MB',
    `{"status":"online","data":"${'x'.repeat(1_048_576)}"}`,
    /expected at most 65536 bytes, got \d+ bytes$/,
  ],
  [
    '10,000 rooms',
    JSON.stringify({ status: 'online', rooms: many(10_000) }),
    /expected at most (65536 bytes|100 rooms)/,
  ],
  [
    '1,000 rooms',
    JSON.stringify({ status: 'online', rooms: many(1000) }),
    /expected at most 100 rooms, got 1000/,
  ],
  [
    'lists 100,000 deep',
    `{"status":"online","data":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
    /expected at most (65536 bytes|32 levels)/,
  ],
  [
    'objects 10,000 deep',
    `{"status":"online","data":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}}`,
    /levels of nesting/,
  ],
  ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22]), /expected UTF-8/],
]

/** By which code a publication was acknowledged; 0 also where there are none. */
function refusalOf(said: Promise<void>): Promise<unknown> {
  return said.then(
    () => 0,
    (error: { readonly code?: unknown }) => error.code,
  )
}

async function invalidDocuments(server: Program): Promise<number> {
  return (await server.metrics()).get('presence_broker_invalid_documents_total') ?? Number.NaN
}

describe('a document that is none', function () {
  this.timeout(30_000)

  for (const version of ['3.1.1', '5'] as const) {
    it(`is counted and dropped with one line in the log, and no more: MQTT ${version}`, async () => {
      const server = await startProgram()
      const reader = await watch(server, ['presence/users/+', 'presence/rooms/lobby'])
      const alice = await connectClient(server, { user: 'alice', clientId: 'laptop', version })
      await reader.next('presence/users/alice')

      for (const [i, [name, payload, sentence]] of BAD.entries()) {
        const before = server.log.length
        expect(await refusalOf(alice.say(payload)), name).to.equal(version === '5' ? 0x99 : 0)
        // The next good document works, on the same connection.
        await alice.say({ status: 'online', rooms: { lobby: i } })
        const { members } = snapshotIn(await reader.next('presence/rooms/lobby'))
        expect(members?.[0]?.data, name).to.equal(i)
        const lines = server.log.slice(before)
        expect(lines, name).to.have.length(1)
        expect(lines[0], name).to.include({
          level: 'warn',
          msg: 'connection document dropped',
          user: 'alice',
          client: 'laptop',
        })
        expect(lines[0]?.['error'], name).to.match(sentence)
        expect(String(lines[0]?.['error']).length, name).to.be.below(200)
        expect(await invalidDocuments(server), name).to.equal(i + 1)
      }
      const shown = reader.messages.filter(({ topic }) => topic === 'presence/users/alice')
      expect(shown).to.have.length(1)
    })
  }

  it('fills no log, however many come', async () => {
    const server = await startProgram()
    // Each within what one user may say in so short a time.
    const users = await Promise.all(
      Array.from({ length: 5 }, (_, i) => connectClient(server, { user: `user-${i}` })),
    )
    await Promise.all(
      users.flatMap((user) => Array.from({ length: 200 }, () => refusalOf(user.say('rubbish')))),
    )
    expect(await invalidDocuments(server)).to.equal(1000)
    const lines = server.log.filter(({ msg }) => msg === 'connection document dropped')
    expect(lines).to.have.length.within(1, 200)
  })

  it('hides nobody else’s line in the log, however many come', async () => {
    const server = await startProgram()
    const [flood, other] = await Promise.all([
      connectClient(server, { user: 'flood' }),
      connectClient(server, { user: 'other' }),
    ])
    await Promise.all(Array.from({ length: 500 }, () => refusalOf(flood.say('rubbish'))))
    await refusalOf(other.say('rubbish'))
    expect(await invalidDocuments(server)).to.equal(501)
    const lines = server.log.filter(({ msg }) => msg === 'connection document dropped')
    expect(lines.filter(({ user }) => user === 'flood')).to.have.length.within(30, 60)
    const told = lines.find(({ user }) => user === 'other')
    expect(told?.['suppressedOf']).to.have.nested.property('[0].source', 'flood')
  })

  it('that a foreign broker lets through is dropped by the bridge', async () => {
    // A client of another broker is not checked there: here a bridge user stands in for one.
    const broker = await startProgram({ command: 'broker' })
    const url = `mqtt://127.0.0.1:${broker.mqttPort}`
    const bridge = await startProgram({ command: 'bridge', flags: ['--broker', url] })
    const reader = await watch(broker, 'presence/users/+')
    const foreign = await connectClient(broker, { user: 'presence-bridge', clientId: 'foreign' })
    for (const [, payload] of BAD) await foreign.publish('presence/connections/bob/phone', payload)
    await foreign.publish('presence/connections/bob/phone', 'online')
    expect(json(await reader.next('presence/users/bob'))).to.include({ status: 'online' })
    expect((await bridge.metrics()).get('presence_bridge_invalid_total')).to.equal(BAD.length)
  })
})
