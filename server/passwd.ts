import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { hashPassword, parsePasswords } from '../broker/index.ts'
import { failure, isValidId, success, type Result } from '../protocol/index.ts'
import { readPassword } from './passwd-input.ts'

const USAGE = `\
Usage: presence-bridge passwd FILE USER [options]

Sets the password of a user in the file that --passwords names, and asks for it
on the terminal. A running server reads the file again on SIGHUP.

  --stdin              Take the password from standard input.
  --rooms <patterns>   The rooms it may join, such as 'doc-*,lobby'.
  --watch <patterns>   The rooms it may watch, where they are not the same.
  --users <patterns>   The users it may see.
  --admin              A service, such as a bridge: it may read and write everything.
  --delete             Remove the user.
`

/** Shorter ones are guessed. */
const MIN_LENGTH = 8

interface Request {
  readonly file: string
  readonly user: string
  readonly stdin: boolean
  readonly remove: boolean
  readonly claims: Readonly<Record<string, unknown>>
}

/** Runs the command; returns the exit code. */
export async function runPasswd(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(USAGE)
    return 0
  }
  const done = await setPassword(argv)
  if (done.ok) process.stdout.write(`${done.value}\n`)
  else process.stderr.write(`${done.error}\n`)
  return done.ok ? 0 : 1
}

async function setPassword(argv: readonly string[]): Promise<Result<string>> {
  const request = readRequest(argv)
  if (!request.ok) return request
  const { file, user, stdin, remove, claims } = request.value
  const users = readUsers(file)
  if (!users.ok) return users
  if (remove) {
    if (!users.value.delete(user)) return failure(`${file} has no user ${user}`)
    return write(file, users.value, `${user} is removed from ${file}`)
  }
  const password = await readPassword(stdin)
  if (!password.ok) return password
  if (password.value.length < MIN_LENGTH) {
    return failure(`expected a password of at least ${MIN_LENGTH} characters`)
  }
  const before = users.value.get(user)
  // What is not said stays.
  users.value.set(user, { ...before, ...claims, password: await hashPassword(password.value) })
  return write(file, users.value, `${user} is ${before ? 'changed' : 'added'} in ${file}`)
}

function readRequest(argv: readonly string[]): Result<Request> {
  let parsed
  try {
    parsed = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        stdin: { type: 'boolean', default: false },
        delete: { type: 'boolean', default: false },
        admin: { type: 'boolean' },
        rooms: { type: 'string' },
        watch: { type: 'string' },
        users: { type: 'string' },
      },
    })
  } catch (error) {
    return failure(`${(error as Error).message}\n\n${USAGE}`)
  }
  const { positionals, values } = parsed
  const [file, user, extra] = positionals
  if (file === undefined || user === undefined || extra !== undefined) {
    return failure(`expected a file and a user\n\n${USAGE}`)
  }
  if (!isValidId(user)) return failure('expected a user of 1 to 256 characters')
  const claims: Record<string, unknown> = values.admin ? { admin: true } : {}
  for (const name of ['rooms', 'watch', 'users'] as const) {
    const value = values[name]
    if (value !== undefined) claims[name] = value.split(',').map((one) => one.trim())
  }
  return success({ file, user, stdin: values.stdin, remove: values.delete, claims })
}

function readUsers(file: string): Result<Map<string, object>> {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOENT'
      ? success(new Map())
      : failure(`expected a file that can be read, got ${file} (${code})`)
  }
  const parsed = parsePasswords(text)
  if (!parsed.ok) return failure(`${file}: ${parsed.error}`)
  return success(new Map(Object.entries(JSON.parse(text) as Record<string, object>)))
}

/** In one step, so that a server that reads meanwhile gets the old file or the new one. */
function write(file: string, users: ReadonlyMap<string, object>, done: string): Result<string> {
  const draft = `${file}.${process.pid}`
  try {
    writeFileSync(draft, `${JSON.stringify(Object.fromEntries(users), null, 2)}\n`, {
      mode: 0o600,
      flag: 'wx',
    })
    renameSync(draft, file)
    return success(done)
  } catch (error) {
    rmSync(draft, { force: true })
    return failure(`cannot write ${file} (${(error as NodeJS.ErrnoException).code})`)
  }
}
