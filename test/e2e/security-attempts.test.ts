import { expect } from 'chai'
import type { IPublishPacket } from 'mqtt-packet'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hashPassword } from '../../broker/index.ts'
import { startProgram, type Program } from '../helpers/process.ts'
import { inScenario, onTeardown } from '../helpers/teardown.ts'
import { within } from '../helpers/within.ts'
import {
  connectAttempts,
  FORBIDDEN_TOPICS,
  REFUSED_FILTERS,
  SECRET_TOPICS,
  WIDE_FILTERS,
} from './security/attempts.ts'
import {
  codeOf,
  cut,
  enter,
  knock,
  persistent,
  ping,
  publish,
  WAYS,
  type Guest,
  type Way,
} from './security/stage.ts'
import { AUDIENCE, ISSUER, SECRET, tokenFor } from './security/tokens.ts'

/** What mallory may: join and watch the lobby. */
const LOBBY = { rooms: ['lobby'] }

/** How an admin connects who reads along. */
const ADMIN_WAY: Way = { version: 5, transport: 'tcp' }

describe('attempts that must fail', function () {
  this.timeout(20_000)
  let server: Program
  let end: () => void = () => {}
  let hash = ''
  let markers = 0
  /** Where the password of paul is known. */
  const folder = mkdtempSync(join(tmpdir(), 'presence-security-'))

  before(async () => {
    hash = await hashPassword('a password of paul')
    const other = await hashPassword('a password of quentin')
    const users = { paul: { password: hash }, quentin: { password: other } }
    writeFileSync(join(folder, 'users.json'), JSON.stringify(users))
    const started = new Promise<Program>((resolve, reject) => {
      const ended = new Promise<void>((done) => (end = done))
      inScenario(async () => {
        resolve(
          await startProgram({
            flags: [
              `--jwt-secret=${SECRET}`,
              `--jwt-audience=${AUDIENCE}`,
              `--jwt-issuer=${ISSUER}`,
              `--passwords=${join(folder, 'users.json')}`,
              '--app-topics=app/#,dev/{client}/#',
              '--grace-closed=0',
              // Mallory comes often here.
              '--max-connects-per-second=5000',
            ],
          }),
        )
        await ended
      }).catch(reject)
    })
    server = await started
    await inScenario(async () => {
      const admin = await enter(server, ADMIN_WAY, 'svc', { admin: true })
      for (const topic of SECRET_TOPICS) await publish(admin, topic, 'SECRET', { retain: true })
    })
  })
  after(() => {
    end()
    rmSync(folder, { recursive: true })
  })

  /** Somebody who sees everything. */
  async function watchAll(): Promise<Guest> {
    const admin = await enter(server, ADMIN_WAY, 'svc', { admin: true })
    await admin.subscribe([{ topic: '#' }, { topic: '$SYS/#' }])
    return admin
  }

  /** What an admin has seen when everything that was published before has come. */
  async function seen(admin: Guest): Promise<IPublishPacket[]> {
    const marker = `marker/${++markers}`
    await publish(admin, marker, '')
    return within(5000, marker, admin.until(marker))
  }

  for (const way of WAYS) {
    const name = `MQTT ${way.version === 5 ? '5' : '3.1.1'} over ${way.transport}`
    const refusal = way.version === 5 ? 0x87 : 0

    describe(`to connect, ${name}: with`, () => {
      for (const { title, codes, knock: options } of connectAttempts('')) {
        it(title, async () => {
          const attempt = connectAttempts(hash).find((one) => one.title === title)
          const guest = await knock(server, way, await (attempt?.knock ?? options)())
          expect(codeOf(guest.connack)).to.equal(codes[way.version])
        })
      }

      it('the client id of a live connection of somebody else, who stays', async () => {
        const alice = await enter(server, way, 'alice')
        const password = Buffer.from(await tokenFor('mallory'))
        const guest = await knock(server, way, {
          clientId: alice.clientId,
          password,
          username: 'm',
        })
        expect(codeOf(guest.connack)).to.equal(way.version === 5 ? 0x85 : 2)
        await ping(alice)
      })

      it('the client id of somebody else’s session', async () => {
        const clientId = `kept-${++markers}`
        const alice = await enter(server, way, 'alice', {}, { ...persistent(way), clientId })
        await alice.subscribe([{ topic: 'presence/rooms/secret/events', qos: 1 }])
        await cut(alice)
        for (const clean of [true, false]) {
          const password = Buffer.from(await tokenFor('mallory'))
          const connect = { ...persistent(way), clean, clientId, username: 'm', password }
          const guest = await knock(server, way, connect)
          expect(codeOf(guest.connack)).to.equal(way.version === 5 ? 0x85 : 2)
        }
        const again = await enter(server, way, 'alice', {}, { ...persistent(way), clientId })
        expect(again.connack.sessionPresent).to.equal(true)
      })
    })

    describe(`to publish, ${name}: to`, () => {
      for (const topic of FORBIDDEN_TOPICS) {
        it(topic, async () => {
          const admin = await watchAll()
          const mallory = await enter(server, way, 'mallory', LOBBY)
          const target = topic.replace('{id}', mallory.clientId)
          expect(await publish(mallory, target, 'FORGED')).to.equal(refusal)
          expect(await publish(mallory, target, 'FORGED', { retain: true })).to.equal(refusal)
          // An empty one would take away what is retained.
          expect(await publish(mallory, target, '', { retain: true })).to.equal(refusal)
          mallory.publish({ topic: target, payload: 'FORGED' })
          await ping(mallory)
          const forged = (await seen(admin)).filter(
            (message) =>
              message.topic === target && ['FORGED', ''].includes(String(message.payload)),
          )
          expect(forged).to.deep.equal([])
        })
      }

      for (const rooms of [{ secret: {} }, { lobby: {}, secret: {} }, { 'lobby/../secret': {} }]) {
        it(`its own topic, naming ${Object.keys(rooms).join(' and ')}`, async () => {
          const admin = await watchAll()
          const mallory = await enter(server, way, 'mallory', LOBBY)
          const own = `presence/connections/mallory/${mallory.clientId}`
          const document = JSON.stringify({ status: 'online', rooms, data: 'FORGED' })
          expect(await publish(mallory, own, document)).to.equal(refusal)
          await ping(mallory)
          const all = (await seen(admin)).map(({ payload }) => String(payload))
          expect(all.filter((text) => text.includes('FORGED'))).to.deep.equal([])
        })
      }

      it('its own topic, in the name of a broker and of another connection, retained', async () => {
        const admin = await watchAll()
        const mallory = await enter(server, way, 'mallory', LOBBY)
        const own = `presence/connections/mallory/${mallory.clientId}`
        const lastSeen = new Date(0).toISOString()
        const forged = { broker: 'b', ended: true, connection: 'c', lastSeen, reason: 'kicked' }
        const document = JSON.stringify({ status: 'offline', data: 'MARK', ...forged })
        await publish(mallory, own, document, { retain: true })
        const messages = (await seen(admin)).filter(({ payload }) =>
          String(payload).includes('MARK'),
        )
        expect(messages).to.have.length(1)
        const said = JSON.parse(String(messages[0]?.payload)) as Record<string, unknown>
        expect(said).not.to.have.any.keys('ended', 'lastSeen')
        expect(said['connection']).not.to.equal('c')
        expect(said['broker']).not.to.equal('b')
        expect(said['reason']).to.equal('closed')
        expect(messages[0]?.retain).to.equal(false)
      })

      for (const [title, make] of [
        ['the token of somebody else', () => tokenFor('alice')],
        [
          'an admin’s token of its own name',
          () => tokenFor('mallory', { claims: { admin: true } }),
        ],
        ['a forged token', () => tokenFor('mallory', { secret: 'y'.repeat(40) })],
        ['no token at all', async () => 'x'],
      ] as const) {
        it(`the topic for new tokens, ${title}`, async () => {
          const admin = await watchAll()
          const mallory = await enter(server, way, 'mallory', LOBBY)
          const token = await make()
          expect(await publish(mallory, '$presence/token', token)).to.equal(refusal)
          expect(await publish(mallory, 'presence/users/alice', 'FORGED')).to.equal(refusal)
          const messages = await seen(admin)
          expect(messages.filter(({ payload }) => String(payload) === 'FORGED')).to.deep.equal([])
          const withToken = messages.filter(({ payload }) => String(payload).includes(token))
          expect(token.length > 1 ? withToken : []).to.deep.equal([])
        })
      }
    })

    describe(`to leave a will, ${name}: on`, () => {
      for (const topic of [
        'presence/connections/alice/alice-1',
        'presence/users/alice',
        'presence/rooms/lobby/events',
        'presence/bridge/status',
        '$SYS/x',
        'private/x',
      ]) {
        it(topic, async () => {
          const admin = await watchAll()
          const will = { topic, payload: Buffer.from('FORGED'), qos: 1, retain: true } as const
          const mallory = await enter(server, way, 'mallory', LOBBY, { will })
          await cut(mallory)
          const own = `presence/connections/mallory/${mallory.clientId}`
          await within(5000, 'the end', sees(admin, own, /"ended":true/))
          const forged = (await seen(admin)).filter(({ payload }) => String(payload) === 'FORGED')
          expect(forged).to.deep.equal([])
        })
      }
    })

    describe(`to subscribe, ${name}: to`, () => {
      for (const filter of REFUSED_FILTERS) {
        it(filter, async () => {
          const mallory = await enter(server, way, 'mallory', LOBBY)
          const { granted } = await mallory.subscribe([{ topic: filter, qos: 1 }])
          expect(granted).to.deep.equal([way.version === 5 ? 0x87 : 0x80])
          await expectNoSecrets(mallory)
        })
      }

      it('all of these beside one that is granted, and to find them in its session', async () => {
        const clientId = `mixed-${++markers}`
        const connect = { ...persistent(way), clientId }
        const mallory = await enter(server, way, 'mallory', LOBBY, connect)
        const filters = ['presence/rooms/lobby/events', ...REFUSED_FILTERS, 'app/x']
        const { granted } = await mallory.subscribe(filters.map((topic) => ({ topic, qos: 1 })))
        expect(granted[0]).to.equal(1)
        expect(granted.at(-1)).to.equal(1)
        expect(granted.slice(1, -1).every((code) => Number(code) >= 0x80)).to.equal(true)
        await cut(mallory)
        await whisper()
        const again = await enter(server, way, 'mallory', LOBBY, connect)
        expect(again.connack.sessionPresent).to.equal(true)
        await expectNoSecrets(again)
      })
    })

    describe(`to read along, ${name}: by`, () => {
      for (const filter of WIDE_FILTERS) {
        it(filter, async () => {
          const clientId = `wide-${++markers}`
          const connect = { ...persistent(way), clientId }
          const mallory = await enter(server, way, 'mallory', LOBBY, connect)
          const { granted } = await mallory.subscribe([{ topic: filter, qos: 1 }])
          expect(granted).to.deep.equal([1])
          await expectNoSecrets(mallory)
          await cut(mallory)
          await whisper()
          await expectNoSecrets(await enter(server, way, 'mallory', LOBBY, connect))
        })
      }

      it('what was kept for a session whose token allowed more', async () => {
        const clientId = `narrowed-${++markers}`
        const connect = { ...persistent(way), clientId }
        const topic = 'presence/rooms/secret/events'
        const before = await enter(server, way, 'mallory', { watch: ['secret'] }, connect)
        expect((await before.subscribe([{ topic, qos: 1 }])).granted).to.deep.equal([1])
        await cut(before)
        await whisper()
        const after = await enter(server, way, 'mallory', LOBBY, connect)
        await expectNoSecrets(after)
      })

      it('a token that allows less than the one before it', async () => {
        const mallory = await enter(server, way, 'mallory', { watch: ['secret', 'lobby'] })
        await mallory.subscribe([{ topic: 'presence/rooms/secret/events', qos: 1 }])
        const token = await tokenFor('mallory', { claims: LOBBY })
        expect(await publish(mallory, '$presence/token', token)).to.equal(0)
        await expectNoSecrets(mallory, mallory.messages.length)
      })
    })
  }

  /** Publishes on every topic that mallory must not read, retained and not. */
  async function whisper(): Promise<void> {
    await inScenario(async () => {
      const admin = await enter(server, ADMIN_WAY, 'svc', { admin: true })
      for (const topic of SECRET_TOPICS) await publish(admin, topic, 'SECRET', { retain: true })
    })
  }

  /** Whispers, and looks at everything that a peer has got by the end of it. */
  async function expectNoSecrets(peer: Guest, from = 0): Promise<void> {
    const room = 'presence/rooms/lobby/events'
    await peer.subscribe([{ topic: room, qos: 1 }])
    await whisper()
    await inScenario(async () => {
      const admin = await enter(server, ADMIN_WAY, 'svc', { admin: true })
      await publish(admin, room, 'END')
    })
    await within(5000, 'the end of the whispers', sees(peer, room, /^END$/))
    const secrets = peer.messages
      .slice(from)
      .filter(({ payload }) => String(payload).includes('SECRET'))
    expect(secrets.map(({ topic }) => topic)).to.deep.equal([])
  }
})

/** Resolves when a peer has got a message. */
async function sees(peer: Guest, topic: string, text: RegExp): Promise<void> {
  const isThere = (): boolean =>
    peer.messages.some((one) => one.topic === topic && text.test(String(one.payload)))
  if (isThere()) return
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (!isThere()) return
      peer.stream.off('packet', look)
      resolve()
    }
    peer.stream.on('packet', look)
    onTeardown(() => peer.stream.off('packet', look))
  })
}
