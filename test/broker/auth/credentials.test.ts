import { expect } from 'chai'
import { generateKeyPairSync } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, SignJWT } from 'jose'
import { createAuthenticator, tokenOf } from '../../../broker/auth/authenticator.ts'
import { createDoor, type Verdict } from '../../../broker/auth/door.ts'
import { hashPassword, isPasswordHash, verifyPassword } from '../../../broker/auth/password-hash.ts'
import { createPasswordVerifier, parsePasswords } from '../../../broker/auth/passwords.ts'
import { createTokenVerifier } from '../../../broker/auth/tokens.ts'
import { systemClock } from '../../../runtime/clock.ts'
import { onTeardown } from '../../helpers/teardown.ts'

const SECRET = 'x'.repeat(32)
const base = { clientId: 'c', username: undefined, password: undefined } as const
const came = { transport: 'tcp', remoteAddress: '127.0.0.1' } as const

function sign(key: Parameters<SignJWT['sign']>[0], alg: string, kid?: string): Promise<string> {
  return new SignJWT({ rooms: ['lobby'] })
    .setProtectedHeader({ alg, ...(kid !== undefined && { kid }) })
    .setSubject('alice')
    .setExpirationTime('1m')
    .sign(key)
}

describe('a password hash', () => {
  it('is scrypt with a salt of its own, and knows its password', async () => {
    const [one, other] = await Promise.all([hashPassword('geheim 🔑'), hashPassword('geheim 🔑')])
    expect(one).to.match(/^\$scrypt\$ln=15,r=8,p=3\$/)
    expect(one).not.to.equal(other)
    expect(await verifyPassword('geheim 🔑', one)).to.equal(true)
    expect(await verifyPassword('geheim', one)).to.equal(false)
  })

  it('does not depend on how the letters were typed', async () => {
    const hash = await hashPassword('café'.normalize('NFC'))
    expect(await verifyPassword('café'.normalize('NFD'), hash)).to.equal(true)
  })

  for (const hash of [
    '',
    'password',
    '$2b$10$abcdefghijklmnopqrstuv',
    '$scrypt$ln=15,r=8,p=3$c2FsdHNhbHQ$',
    '$scrypt$ln=30,r=8,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2g',
    '$scrypt$ln=15,r=99,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2g',
    '$scrypt$ln=1,r=8,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2g',
  ]) {
    it(`is not ${hash || 'nothing'}`, async () => {
      expect(isPasswordHash(hash)).to.equal(false)
      expect(await verifyPassword('x', hash)).to.equal(false)
    })
  }
})

describe('a password file', () => {
  it('says what its users may', async () => {
    const file = {
      paul: { password: await hashPassword('paul’s own'), rooms: ['a*'], admin: true },
    }
    const entries = parsePasswords(JSON.stringify(file))
    if (!entries.ok) throw new Error(entries.error)
    const passwords = createPasswordVerifier(entries.value)
    const claims = { user: 'paul', rooms: ['a*'], admin: true }
    expect(await passwords.verify('paul', 'paul’s own', undefined)).to.deep.equal({
      ok: true,
      value: claims,
    })
    const before = performance.now()
    expect(await passwords.verify('paul', 'paul’s own', undefined)).to.deep.equal({
      ok: true,
      value: claims,
    })
    // Who was right before is known at once.
    expect(performance.now() - before).to.be.below(20)
    for (const [user, password] of [
      ['paul', 'wrong'],
      ['Paul', 'paul’s own'],
      ['toString', 'x'],
    ] as const) {
      expect(await passwords.verify(user, password, undefined)).to.have.property(
        'error',
        'the user name or the password is wrong',
      )
    }
  })

  for (const text of ['', '[]', '{"a":1}', '{"a":{"password":"plain"}}', '{"":{}}']) {
    it(`is not ${text || 'empty'}, and the error does not show a password`, () => {
      const entries = parsePasswords(text)
      expect(entries.ok).to.equal(false)
      expect(entries.ok ? '' : entries.error).not.to.include('plain')
    })
  }

  it('does not let more passwords wait than can be checked', async () => {
    const entries = parsePasswords(JSON.stringify({ a: { password: await hashPassword('x') } }))
    if (!entries.ok) throw new Error(entries.error)
    const cheap = new Map([...entries.value].map(([user, entry]) => [user, { ...entry, hash: '' }]))
    const passwords = createPasswordVerifier(cheap)
    const many = Array.from({ length: 500 }, (_, n) =>
      passwords.verify('a', String(n), `10.0.0.${n}`),
    )
    const results = await Promise.allSettled(many)
    expect(results.filter(({ status }) => status === 'rejected').length).to.equal(500 - 101)
  })

  it('does not let anybody guess for long', async () => {
    const passwords = createPasswordVerifier(new Map([['a', { hash: '', claims: { user: 'a' } }]]))
    const guess = async (address: string, n = 0): Promise<string> => {
      const result = await passwords.verify('a', `x${n}`, address)
      return result.ok ? '' : result.error
    }
    for (let n = 0; n < 10; n++) expect(await guess('10.0.0.1', n)).to.match(/is wrong/)
    expect(await guess('10.0.0.1').catch(String)).to.match(/too often/)
    expect(await guess('10.0.0.2')).to.match(/is wrong/)
  })
})

describe('a token', () => {
  it('is known by the secret', async () => {
    const verifier = createTokenVerifier({ secret: SECRET })
    const claims = await verifier.verify(await sign(new TextEncoder().encode(SECRET), 'HS256'))
    expect(claims.ok && claims.value).to.include({ user: 'alice' })
    expect(claims.ok && claims.value.rooms).to.deep.equal(['lobby'])
    expect(claims.ok && Number(claims.value.expiresAt)).to.be.closeTo(Date.now() + 60_000, 2000)
  })

  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  for (const [alg, { publicKey, privateKey }] of [
    ['RS256', rsa],
    ['ES256', ec],
  ] as const) {
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()

    it(`is known by the public key, ${alg}`, async () => {
      const claims = await createTokenVerifier({ publicKey: pem }).verify(
        await sign(privateKey, alg),
      )
      expect(claims.ok && claims.value.user).to.equal('alice')
    })

    it(`is not known when the public key is taken for a secret, ${alg}`, async () => {
      const forged = await sign(new TextEncoder().encode(pem), 'HS256')
      const claims = await createTokenVerifier({ publicKey: pem }).verify(forged)
      expect(claims).to.have.property(
        'error',
        'the token is signed by an algorithm that is not allowed',
      )
    })
  }

  it('is known by a key that is published, and by no other', async () => {
    const keys = { keys: [{ ...(await exportJWK(ec.publicKey)), kid: 'k1', alg: 'ES256' }] }
    const server = createServer((_request, response) => void response.end(JSON.stringify(keys)))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTeardown(() => server.close())
    const { port } = server.address() as AddressInfo
    const verifier = createTokenVerifier({ jwksUrl: `http://127.0.0.1:${port}/keys` })
    const claims = await verifier.verify(await sign(ec.privateKey, 'ES256', 'k1'))
    expect(claims.ok && claims.value.user).to.equal('alice')
    const other = await verifier.verify(await sign(rsa.privateKey, 'RS256', 'k2'))
    expect(other).to.have.property('error', 'the token is signed by a key that is not known')
  })

  it('cannot be judged while nobody publishes the keys', async () => {
    const verifier = createTokenVerifier({ jwksUrl: 'http://127.0.0.1:1/keys' })
    const outcome = await verifier.verify(await sign(ec.privateKey, 'ES256')).then(
      () => 'judged',
      () => 'not now',
    )
    expect(outcome).to.equal('not now')
  })

  for (const [title, options] of [
    ['no key', {}],
    ['two keys', { secret: SECRET, jwksUrl: 'https://a.example' }],
    ['a short secret', { secret: 'short' }],
    ['something that is no key', { publicKey: 'x' }],
    [
      'a private key',
      { publicKey: ec.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() },
    ],
  ] as const) {
    it(`needs one good key, not ${title}`, () => {
      expect(() => createTokenVerifier(options)).to.throw(RangeError)
    })
  }
})

describe('the token of a WebSocket', () => {
  const rows: readonly [title: string, request: object, token: string | undefined][] = [
    ['in the query', { url: '/mqtt?a=1&token=t', headers: {} }, 't'],
    ['in Authorization', { url: '/mqtt', headers: { authorization: 'Bearer t' } }, 't'],
    ['in a subprotocol', { headers: { 'sec-websocket-protocol': 'mqtt, bearer.t' } }, 't'],
    ['nowhere', { url: '/mqtt', headers: {} }, undefined],
    ['in another scheme', { url: '/mqtt', headers: { authorization: 'Basic t' } }, undefined],
  ]
  for (const [title, request, token] of rows) {
    it(`is found ${title}`, () => {
      expect(tokenOf({ url: '', ...request } as IncomingMessage)).to.equal(token)
    })
  }
})

describe('who has several credentials', () => {
  const tokens = { verify: async () => ({ ok: true, value: { user: 'by token' } }) as const }
  const passwords = { verify: async () => ({ ok: false, error: 'wrong' }) as const }
  const request = { url: '/mqtt?token=t', headers: {} } as IncomingMessage
  const authenticator = createAuthenticator({ tokens, passwords, certificates: true })

  it('is not let in by the second when the first is wrong', async () => {
    const credentials = { ...base, ...came, username: 'paul', password: 'x' }
    const result = await authenticator.authenticate({ ...credentials, request, certificate: 'c' })
    expect(result).to.deep.equal({ ok: false, error: 'wrong' })
  })

  it('is known by the token of the request without a password', async () => {
    const result = await authenticator.authenticate({ ...base, ...came, request, certificate: 'c' })
    expect(result.ok && result.value.user).to.equal('by token')
  })

  it('is known by the certificate when there is nothing else', async () => {
    const result = await authenticator.authenticate({ ...base, ...came, certificate: 'cn' })
    expect(result.ok && result.value.user).to.equal('cn')
  })
})

describe('the door', () => {
  function judge(
    door: Parameters<typeof createDoor>[0]['authenticator'],
    brings: object,
  ): Promise<Verdict> {
    const onFailure = (): void => {}
    const made = createDoor({
      authenticator: door,
      allowGuests: false,
      clock: systemClock,
      onFailure,
    })
    return new Promise((resolve) => made.judge({ ...base, ...came, ...brings }, resolve))
  }

  it('asks nobody who he is when nobody can say', async () => {
    expect(await judge(undefined, {})).to.deep.equal({ kind: 'anonymous' })
  })

  it('says "not now" when the authenticator fails', async () => {
    const broken = { authenticate: () => Promise.reject(new Error('down')) }
    expect(await judge(broken, { password: 'x' })).to.have.nested.property('refusal.returnCode', 3)
  })

  it('does not let in whose claims are over', async () => {
    const claims = { ok: true, value: { user: 'a', expiresAt: Date.now() - 1 } } as const
    const late = { authenticate: async () => claims }
    expect(await judge(late, { password: 'x' })).to.have.nested.property('refusal.returnCode', 4)
  })
})
