import { randomBytes, scrypt, timingSafeEqual, type ScryptOptions } from 'node:crypto'

/** A hash as it is stored, taken apart. */
interface ParsedHash {
  readonly options: ScryptOptions
  readonly salt: Buffer
  readonly hash: Buffer
}

/** OWASP's Password Storage Cheat Sheet, 2024: N=2^15, r=8, p=3 takes 32 MiB. */
const COST = { ln: 15, r: 8, p: 3 } as const
const SALT_BYTES = 16
const HASH_BYTES = 32

// The PHC string format: $scrypt$ln=15,r=8,p=3$salt$hash, base64 without padding.
const FORMAT = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([\w+/]{11,86})\$([\w+/]{22,86})$/

/** Hashes a password with scrypt and a salt of its own. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  const { ln, r, p } = COST
  const hash = await derive(password, salt, HASH_BYTES, optionsOf(ln, r, p))
  return `$scrypt$ln=${ln},r=${r},p=${p}$${unpadded(salt)}$${unpadded(hash)}`
}

/** Whether a hash is one that {@link verifyPassword} can check, at a bearable cost. */
export function isPasswordHash(text: string): boolean {
  return parse(text) !== undefined
}

/** Whether this is the password of a hash; takes as long when it is not. */
export async function verifyPassword(password: string, stored: string): Promise<boolean> {
  const parsed = parse(stored)
  if (!parsed) return false
  const { options, salt, hash } = parsed
  return timingSafeEqual(await derive(password, salt, hash.length, options), hash)
}

function parse(text: string): ParsedHash | undefined {
  const [, ln, r, p, salt = '', hash = ''] = FORMAT.exec(text) ?? []
  const cost = [Number(ln), Number(r), Number(p)] as const
  // 2^17 with r=8 takes 128 MiB; who may write the file should still not be able to stop the program.
  if (!(cost[0] >= 10 && cost[0] <= 17 && cost[1] >= 1 && cost[1] <= 16)) return undefined
  if (!(cost[2] >= 1 && cost[2] <= 16)) return undefined
  return {
    options: optionsOf(...cost),
    salt: Buffer.from(salt, 'base64'),
    hash: Buffer.from(hash, 'base64'),
  }
}

function optionsOf(ln: number, r: number, p: number): ScryptOptions {
  const N = 2 ** ln
  return { N, r, p, maxmem: 128 * N * r + 128 * r * p + 1024 * 1024 }
}

function derive(
  password: string,
  salt: Buffer,
  bytes: number,
  options: ScryptOptions,
): Promise<Buffer> {
  // One password has many spellings in Unicode [RFC 8265, 4.2.2].
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFC'), salt, bytes, options, (error, key) => {
      if (error) reject(error)
      else resolve(key)
    })
  })
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}
