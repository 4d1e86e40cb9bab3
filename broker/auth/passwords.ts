import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import {
  failure,
  isJsonObject,
  parseJson,
  show,
  success,
  type Result,
} from '../../protocol/index.ts'
import { createRates } from '../limits/rate.ts'
import { groupOf } from '../limits/sockets.ts'
import type { PasswordVerifier } from './authenticator.ts'
import { parseClaims, type Claims } from './claims.ts'
import { hashPassword, isPasswordHash, verifyPassword } from './password-hash.ts'

/** A user of a password file. */
export interface PasswordEntry {
  readonly hash: string
  readonly claims: Claims
}

/** The users of a password file by name. */
export type PasswordEntries = ReadonlyMap<string, PasswordEntry>

/** Hashes that are computed at a time: each takes a whole core for the tenth part of a second or more. */
const AT_A_TIME = 1

/** Passwords that may wait for their turn; with more it is a flood, and clients are told to come later. */
const MAX_WAITING = 100

/** Guesses at one user's password from one address: one a second, this many at once. */
const GUESSES_AT_ONCE = 10

/**
 * Reads a password file: `{"alice":{"password":"$scrypt$…","rooms":["doc-*"]}}`, with the claims of a token
 * beside the hash.
 */
export function parsePasswords(text: string): Result<PasswordEntries> {
  const json = parseJson(text, 8)
  if (!json.ok) return json
  if (!isJsonObject(json.value)) return failure(`expected an object, got ${show(json.value)}`)
  const entries = new Map<string, PasswordEntry>()
  for (const [user, said] of Object.entries(json.value)) {
    if (!isJsonObject(said)) return failure(`${show(user)}: expected an object, got ${show(said)}`)
    const { password } = said
    if (typeof password !== 'string' || !isPasswordHash(password)) {
      // Not what came: it may be somebody's password.
      return failure(`${show(user)}: expected a hash that presence-bridge passwd has made`)
    }
    const claims = parseClaims(user, said)
    if (!claims.ok) return failure(`${show(user)}: ${claims.error}`)
    entries.set(user, { hash: password, claims: claims.value })
  }
  return success(entries)
}

/** Creates what checks passwords against a file's hashes, a few at a time. */
export function createPasswordVerifier(entries: PasswordEntries): PasswordVerifier {
  const turns = createTurns(AT_A_TIME, MAX_WAITING)
  const guesses = createRates({ perSecond: 1, burstSeconds: GUESSES_AT_ONCE, patienceSeconds: 0 })
  // The hash is slow on purpose, and everybody comes back at once when a broker restarts: who was right
  // before is known again by a keyed digest that is nowhere but here.
  const key = randomBytes(32)
  const known = new Map<string, Buffer>()
  // Somebody who does not exist takes as long as somebody who does.
  let nobody: Promise<string> | undefined

  const checking = new Map<string, Promise<boolean>>()

  /** Checks a password once for all who bring it at the same time: the tabs of one user, after a restart. */
  function check(
    user: string,
    password: string,
    digest: Buffer,
    address: string | undefined,
  ): Promise<boolean> {
    const name = `${user} ${digest.toString('base64')}`
    let outcome = checking.get(name)
    if (!outcome) {
      outcome = compute(user, password, address).finally(() => checking.delete(name))
      checking.set(name, outcome)
    }
    return outcome
  }

  async function compute(
    user: string,
    password: string,
    address: string | undefined,
  ): Promise<boolean> {
    // Not a wrong password, of which the client would hear: whoever shares the address may be right.
    if (guesses.take(`${groupOf(address)} ${user}`, Date.now()) === undefined) {
      throw new Error('a password was guessed at too often')
    }
    const hash = entries.get(user)?.hash ?? (await (nobody ??= hashPassword('')))
    return turns.run(() => verifyPassword(password, hash))
  }

  return {
    async verify(user, password, address) {
      const entry = entries.get(user)
      const digest = createHmac('sha256', key).update(password.normalize('NFC')).digest()
      const before = known.get(user)
      if (entry && before && timingSafeEqual(before, digest)) return success(entry.claims)
      const isRight = await check(user, password, digest, address)
      if (!entry || !isRight) return failure('the user name or the password is wrong')
      known.set(user, digest)
      return success(entry.claims)
    },
  }
}

interface Turns {
  run<T>(job: () => Promise<T>): Promise<T>
}

function createTurns(atATime: number, maxWaiting: number): Turns {
  const waiting: (() => void)[] = []
  let running = 0
  return {
    async run(job) {
      if (running >= atATime) {
        if (waiting.length >= maxWaiting) throw new Error('too many passwords wait to be checked')
        await new Promise<void>((resolve) => waiting.push(resolve))
      } else {
        running++
      }
      try {
        return await job()
      } finally {
        const next = waiting.shift()
        if (next) next()
        else running--
      }
    },
  }
}
