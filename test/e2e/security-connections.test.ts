import { expect } from 'chai'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { IDisconnectPacket } from 'mqtt-packet'
import { startCluster } from '../helpers/cluster.ts'
import { json, watch } from '../helpers/presence-reader.ts'
import { build, exitOf, PACKAGE_ROOT, startProgram, type Program } from '../helpers/process.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { eventually, within } from '../helpers/within.ts'
import { createFolder } from './security/certificates.ts'
import {
  codeOf,
  cut,
  enter,
  knock,
  openStream,
  persistent,
  ping,
  publish,
  WAYS,
  type Guest,
} from './security/stage.ts'
import { SECRET, tokenFor } from './security/tokens.ts'

const V5 = { version: 5, transport: 'tcp' } as const
const V3 = { version: 4, transport: 'tcp' } as const

/** Starts a server that asks for tokens. */
const startWithTokens = (...flags: readonly string[]): Promise<Program> =>
  startProgram({ flags: ['--jwt-secret', SECRET, '--app-topics', 'app/#', ...flags] })

/** The next DISCONNECT that a peer is sent. */
function disconnectOf(peer: Guest): Promise<IDisconnectPacket> {
  return new Promise((resolve) => {
    peer.stream.on('packet', (packet: { cmd: string }) => {
      if (packet.cmd === 'disconnect') resolve(packet as IDisconnectPacket)
    })
  })
}

function closeOf(peer: Guest): Promise<unknown> {
  const { stream } = peer
  if (stream.destroyed || stream.readableEnded) return Promise.resolve()
  // A socket that is cut while there is something to read ends with an error.
  stream.on('error', () => {})
  return new Promise((resolve) => stream.once('close', resolve).once('end', resolve))
}

describe('an admin', function () {
  this.timeout(15_000)

  for (const version of [4, 5] as const) {
    it(`ends a connection, cause kicked: MQTT ${version === 5 ? '5' : '3.1.1'}`, async () => {
      const server = await startWithTokens()
      const admin = await enter(server, V5, 'svc', { admin: true })
      await admin.subscribe([{ topic: 'presence/users/alice' }, { topic: '$presence/#' }])
      const alice = await enter(server, { version, transport: 'tcp' }, 'alice')
      const other = await enter(server, V3, 'alice')
      const said = disconnectOf(alice)
      expect(await publish(admin, '$presence/kick', alice.clientId, { retain: true })).to.equal(0)
      await within(2000, 'the end', closeOf(alice))
      if (version === 5) expect((await said).reasonCode).to.equal(0x98)
      await ping(other)
      expect(await publish(admin, '$presence/kick', 'nobody')).to.equal(0)
      expect(await publish(admin, '$presence/kick', other.clientId)).to.equal(0)
      await eventually('she is offline', () => admin.messages.some(isKicked))
      // Nobody reads who is to go, not even later.
      expect(admin.messages.map(({ topic }) => topic)).to.not.include('$presence/kick')
    })
  }

  it('does so at whatever broker the connection is, and nobody else may', async () => {
    const flags = ['--jwt-secret', SECRET]
    const cluster = await startCluster(2, { flags })
    const alice = await enter(cluster.at(1), V5, 'alice')
    const mallory = await enter(cluster.at(0), V5, 'mallory')
    expect(await publish(mallory, '$presence/kick', alice.clientId)).to.equal(0x87)
    await ping(alice)
    const admin = await enter(cluster.at(0), V5, 'svc', { admin: true })
    const said = disconnectOf(alice)
    await publish(admin, '$presence/kick', alice.clientId)
    expect((await within(3000, 'the end', said)).reasonCode).to.equal(0x98)
    await ping(mallory)
  })
})

function isKicked({ payload }: { readonly payload: Buffer | string }): boolean {
  const text = String(payload)
  return text.includes('"offline"') && text.includes('"kicked"')
}

describe('a token', () => {
  for (const way of WAYS) {
    const name = `MQTT ${way.version === 5 ? '5' : '3.1.1'} over ${way.transport}`
    it(`ends the connection when it expires, cause kicked: ${name}`, async () => {
      const server = await startWithTokens()
      const admin = await enter(server, V5, 'svc', { admin: true })
      await admin.subscribe([{ topic: 'presence/users/alice' }])
      const exp = Math.floor(Date.now() / 1000) + 2
      const alice = await enter(server, way, 'alice', { exp })
      const said = disconnectOf(alice)
      await within(4000, 'the end', closeOf(alice))
      if (way.version === 5) {
        const { reasonCode, properties } = await said
        expect(reasonCode).to.equal(0xa0)
        expect(properties?.reasonString).to.equal('the token has expired')
      }
      await within(2000, 'the end of her presence', admin.first(2))
      const gone = JSON.parse(String(admin.messages[1]?.payload)) as object
      expect(gone).to.include({ status: 'offline', reason: 'kicked' })
      expect((await server.metrics()).get('presence_broker_expired_total')).to.equal(1)
    })

    it(`is replaced by a new one while the connection stays: ${name}`, async () => {
      const server = await startWithTokens()
      const exp = Math.floor(Date.now() / 1000) + 2
      const alice = await enter(server, way, 'alice', { exp })
      expect(await publish(alice, '$presence/token', await tokenFor('alice'))).to.equal(0)
      const bob = await enter(server, way, 'bob', { exp })
      await within(4000, 'the end of bob', closeOf(bob))
      await ping(alice)
    })
  }

  it('that names fewer rooms takes its client out of the others', async () => {
    const server = await startWithTokens()
    const admin = await enter(server, V5, 'svc', { admin: true })
    await admin.subscribe([{ topic: 'presence/rooms/+/members/alice' }])
    const alice = await enter(server, V5, 'alice', { rooms: ['a', 'b'] })
    const own = `presence/connections/alice/${alice.clientId}`
    await publish(alice, own, JSON.stringify({ status: 'online', rooms: { a: {}, b: {} } }))
    await within(2000, 'she is in both', admin.first(2))
    await publish(alice, '$presence/token', await tokenFor('alice', { claims: { rooms: ['b'] } }))
    const [, , left] = await within(2000, 'she has left one', admin.first(3))
    expect([left?.topic, String(left?.payload)]).to.deep.equal([
      'presence/rooms/a/members/alice',
      '',
    ])
  })

  it('with presence false lets its client read without being seen', async () => {
    const server = await startWithTokens()
    const admin = await enter(server, V5, 'svc', { admin: true })
    await admin.subscribe([{ topic: 'presence/users/#' }])
    await enter(server, V5, 'ghost', { presence: false })
    await enter(server, V5, 'alice')
    await within(2000, 'alice', admin.first(1))
    expect(admin.messages[0]?.topic).to.equal('presence/users/alice')
  })

  for (const [title, options] of [
    ['the query', async () => ({ query: `?token=${await tokenFor('alice')}` })],
    [
      'Authorization',
      async () => ({ headers: { authorization: `Bearer ${await tokenFor('alice')}` } }),
    ],
    ['a subprotocol', async () => ({ protocols: [`bearer.${await tokenFor('alice')}`] })],
  ] as const) {
    it(`is taken from ${title} of a WebSocket, and is in no log`, async () => {
      const server = await startWithTokens('--log-level', 'trace')
      const asked = await options()
      const alice = await knock(server, { version: 5, transport: 'websocket' }, asked)
      expect(codeOf(alice.connack)).to.equal(0)
      const stranger = await knock(
        server,
        { version: 5, transport: 'websocket' },
        { query: '?token=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2VjcmV0' },
      )
      expect(codeOf(stranger.connack)).to.equal(0x86)
      const isTold = (): boolean => server.log.some(({ msg }) => msg === 'connection refused')
      await eventually('the log says so', isTold)
      expect(JSON.stringify(server.log)).not.to.include('eyJ')
    })
  }
})

describe('a bridge in another process', () => {
  it('is let in by a password with admin, and by nothing less', async () => {
    const file = join(createFolder(), 'users.json')
    await passwd([file, 'bridge', '--admin', '--stdin'], 'a bridge’s password\n')
    await passwd([file, 'alice', '--rooms', 'lobby', '--stdin'], 'alice’s password\n')
    const broker = await startProgram({ command: 'broker', flags: ['--passwords', file] })
    const url = `mqtt://127.0.0.1:${broker.mqttPort}`
    const bridge = await startProgram({
      command: 'bridge',
      flags: [
        '--broker',
        url,
        '--broker-username',
        'bridge',
        '--broker-password',
        'a bridge’s password',
      ],
    })
    const password = Buffer.from('alice’s password')
    const alice = await knock(broker, V5, { username: 'alice', password })
    await alice.subscribe([{ topic: 'presence/users/alice', qos: 1 }])
    const [online] = await within(5000, 'presence', alice.first(1))
    expect(json({ text: String(online?.payload) })).to.include({ user: 'alice', status: 'online' })
    await bridge.stop()
  })

  it('still comes by its name alone where nobody is asked who he is', async () => {
    const broker = await startProgram({ command: 'broker' })
    await startProgram({
      command: 'bridge',
      flags: ['--broker', `mqtt://127.0.0.1:${broker.mqttPort}`],
    })
    const reader = await watch(broker, 'presence/bridge/status')
    expect((await reader.next('presence/bridge/status')).text).to.equal('online')
  })
})

describe('presence-bridge passwd', () => {
  it('writes a file that only its owner reads, changes and removes users', async () => {
    const file = join(createFolder(), 'users.json')
    expect(await passwd([file, 'alice', '--rooms', 'a,b*', '--stdin'], 'correct horse\n')).to.equal(
      0,
    )
    expect(await passwd([file, 'bob', '--stdin'], 'battery staple')).to.equal(0)
    expect(await passwd([file, 'alice', '--stdin'], 'correct mule\n')).to.equal(0)
    expect(await passwd([file, 'bob', '--delete'], '')).to.equal(0)
    expect(statSync(file).mode & 0o777).to.equal(0o600)
    const users = JSON.parse(readFileSync(file, 'utf8')) as Record<string, object>
    expect(Object.keys(users)).to.deep.equal(['alice'])
    expect(users['alice']).to.deep.include({ rooms: ['a', 'b*'] })
  })

  it('does not take what is no password, nor a file that is none', async () => {
    const file = join(createFolder(), 'users.json')
    expect(await passwd([file, 'alice', '--stdin'], 'short\n')).to.equal(1)
    expect(await passwd([file, 'alice'], '')).to.equal(1)
    expect(await passwd([file], '')).to.equal(1)
    writeFileSync(file, '{"alice":"plain"}')
    expect(await passwd([file, 'alice', '--stdin'], 'correct horse\n')).to.equal(1)
  })

  it('tells a running server by SIGHUP', async () => {
    const file = join(createFolder(), 'users.json')
    await passwd([file, 'alice', '--stdin'], 'correct horse')
    const server = await startProgram({ flags: ['--passwords', file] })
    const tryBob = async (): Promise<number | undefined> =>
      codeOf(
        (await knock(server, V3, { username: 'bob', password: Buffer.from('battery staple') }))
          .connack,
      )
    expect(await tryBob()).to.equal(4)
    await passwd([file, 'bob', '--stdin'], 'battery staple')
    server.kill('SIGHUP')
    await eventually('bob is let in', async () => (await tryBob()) === 0)
  })
})

describe('web pages', () => {
  const way = { version: 5, transport: 'websocket' } as const
  const opens = async (server: Program, origin: string): Promise<string> => {
    try {
      const stream = await openStream(server, way, { headers: { origin } })
      onTeardown(() => stream.destroy())
      return 'open'
    } catch (error) {
      return (error as Error).message
    }
  }

  it('of this machine may connect where nobody is asked who he is, others not', async () => {
    const server = await startProgram()
    for (const origin of ['http://localhost:3000', 'http://127.0.0.1:8080', 'http://[::1]:1']) {
      expect(await opens(server, origin), origin).to.equal('open')
    }
    for (const origin of [
      'https://evil.example',
      'null',
      `http://evil.example:${server.httpPort}`,
    ]) {
      expect(await opens(server, origin), origin).to.equal('403')
    }
  })

  it('may connect when they are listed, others not', async () => {
    const server = await startWithTokens('--origins', 'https://app.example, https://*.b.example')
    expect(await opens(server, 'https://app.example')).to.equal('open')
    expect(await opens(server, 'https://x.b.example')).to.equal('open')
    for (const origin of [
      'http://app.example',
      'https://app.example.evil',
      'https://b.example',
      'null',
    ]) {
      expect(await opens(server, origin), origin).to.equal('403')
    }
  })

  it('all may where clients prove who they are', async () => {
    expect(await opens(await startWithTokens(), 'https://any.example')).to.equal('open')
  })
})

describe('limits', () => {
  it('on the connections of a user do not stand in the way of a takeover', async () => {
    const server = await startWithTokens('--max-connections-per-user', '2')
    const one = await enter(server, V5, 'alice')
    await enter(server, V5, 'alice')
    const third = await knock(server, V5, {
      password: Buffer.from(await tokenFor('alice')),
      username: 'a',
    })
    expect(codeOf(third.connack)).to.equal(0x88)
    await enter(server, V5, 'alice', {}, { clientId: one.clientId })
    await enter(server, V5, 'bob')
  })

  it('on sockets end with 429 over WebSocket, at once over TCP', async () => {
    const server = await startWithTokens('--max-connections', '1')
    await enter(server, V5, 'alice')
    const error = await openStream(server, { version: 5, transport: 'websocket' }).catch(String)
    expect(error).to.equal('Error: 429')
    const stream = await openStream(server, V5)
    stream.on('error', () => {}).resume()
    await within(2000, 'the end', once(stream, 'close'))
    const metrics = await server.metrics()
    expect(metrics.get('presence_broker_refused_connections_total')).to.equal(2)
  })

  it('on one address are kept behind a proxy', async () => {
    const server = await startWithTokens('--trusted-proxy', '127.0.0.1', '--max-per-address', '2')
    const from = async (address: string): Promise<string> => {
      const headers = { 'x-forwarded-for': address }
      const opened = openStream(server, { version: 5, transport: 'websocket' }, { headers })
      return opened.then(
        (stream) => (onTeardown(() => stream.destroy()), 'open'),
        (error: Error) => error.message,
      )
    }
    const outcomes = []
    for (let n = 0; n < 3; n++) outcomes.push(await from('203.0.113.1'))
    expect(outcomes).to.deep.equal(['open', 'open', '429'])
    expect(await from('203.0.113.2')).to.equal('open')
  })

  it('on subscriptions are answered in SUBACK', async () => {
    const server = await startWithTokens('--max-subscriptions', '3')
    for (const way of [V3, V5]) {
      const alice = await enter(server, way, 'alice')
      const filters = ['app/1', 'app/2', 'app/3', 'app/4'].map((topic) => ({ topic }))
      const no = way.version === 5 ? 0x87 : 0x80
      expect((await alice.subscribe(filters)).granted).to.deep.equal([0, 0, 0, no])
      await alice.request(
        { cmd: 'unsubscribe', messageId: 9, unsubscriptions: ['app/1'] },
        'unsuback',
      )
      expect((await alice.subscribe([{ topic: 'app/4' }])).granted).to.deep.equal([0])
    }
  })

  it('on retained messages outside of presence let those that are there be replaced', async () => {
    const server = await startWithTokens('--max-retained', '2')
    const alice = await enter(server, V5, 'alice')
    const retain = { retain: true }
    expect(await publish(alice, 'app/1', 'x', retain)).to.equal(0)
    expect(await publish(alice, 'app/2', 'x', retain)).to.equal(0)
    expect(await publish(alice, 'app/3', 'x', retain)).to.equal(0x97)
    expect(await publish(alice, 'app/2', 'y', retain)).to.equal(0)
    expect(await publish(alice, 'app/1', '', retain)).to.equal(0)
    expect(await publish(alice, 'app/3', 'x', retain)).to.equal(0)
  })

  it('on rooms and members refuse a document whole', async () => {
    const server = await startWithTokens('--max-rooms-in-all', '2', '--max-members', '1')
    const admin = await enter(server, V5, 'svc', { admin: true })
    await admin.subscribe([{ topic: 'presence/rooms/+/count', qos: 1 }])
    const enterRooms = async (who: Guest, user: string, rooms: object): Promise<number> =>
      publish(
        who,
        `presence/connections/${user}/${who.clientId}`,
        JSON.stringify({ status: 'online', rooms }),
      )
    const alice = await enter(server, V5, 'alice')
    expect(await enterRooms(alice, 'alice', { a: {}, b: {} })).to.equal(0)
    await within(2000, 'both rooms', admin.first(2))
    expect(await enterRooms(alice, 'alice', { a: {}, b: {}, c: {} })).to.equal(0x97)
    const bob = await enter(server, V5, 'bob')
    expect(await enterRooms(bob, 'bob', { a: {} })).to.equal(0x97)
    const second = await enter(server, V5, 'alice')
    expect(await enterRooms(second, 'alice', { a: {} })).to.equal(0)
  })

  it('on what waits for a session drop the oldest', async () => {
    const server = await startWithTokens('--max-session-queue', '10')
    const connect = { ...persistent(V3), clientId: 'kept' }
    const alice = await enter(server, V3, 'alice', {}, connect)
    await alice.subscribe([{ topic: 'app/x', qos: 1 }])
    await cut(alice)
    const bob = await enter(server, V5, 'bob')
    await eventually(
      'alice is gone',
      async () => (await server.metrics()).get('presence_broker_sessions') === 1,
    )
    for (let n = 0; n < 25; n++) await publish(bob, 'app/x', String(n))
    const again = await enter(server, V3, 'alice', {}, connect)
    await within(2000, 'all that waited', again.first(10))
    expect(String(again.messages[0]?.payload)).to.equal('15')
  })

  it('hold back who publishes too much, and keep the order', async () => {
    const server = await startWithTokens('--max-messages-per-second', '100')
    const bob = await enter(server, V5, 'bob')
    const reader = await enter(server, V5, 'reader')
    await reader.subscribe([{ topic: 'app/#' }])
    const start = performance.now()
    for (let n = 0; n < 600; n++) bob.publish({ topic: 'app/x', payload: String(n) })
    await within(5000, 'what is held back comes late', reader.first(600))
    expect(performance.now() - start).to.be.above(900)
    const sent = Array.from({ length: 600 }, (_, n) => n)
    expect(reader.messages.map(({ payload }) => Number(payload))).to.deep.equal(sent)
  })

  it('cut who is too far ahead of them, whoever else is there', async () => {
    const server = await startWithTokens('--max-messages-per-second', '5')
    const reader = await enter(server, V5, 'reader')
    for (const way of WAYS) {
      const user = `${way.version} ${way.transport}`
      const bob = await enter(server, way, user)
      const said = disconnectOf(bob)
      for (let n = 0; n < 60; n++) bob.publish({ topic: 'app/x', payload: String(n) })
      await within(3000, 'the end', closeOf(bob))
      if (way.version === 5) expect((await said).reasonCode).to.equal(0x96)
    }
    await ping(reader)
    expect((await server.metrics()).get('presence_broker_floods_total')).to.equal(WAYS.length)
  })
})

/** Runs the command with something on its standard input; gives the exit code. */
async function passwd(argv: readonly string[], input: string): Promise<number | null> {
  await build()
  const child = spawn(process.execPath, ['dist/server/cli.js', 'passwd', ...argv], {
    cwd: PACKAGE_ROOT,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  child.stdin?.end(input)
  return (await exitOf(child)).code
}
