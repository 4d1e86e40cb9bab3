import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { onTeardown } from './teardown.ts'

/** A network namespace that a cable connects to this machine. */
export interface Namespace {
  readonly name: string
  /** This machine's address on the cable. */
  readonly host: string
  /** Pulls the cable out at the far end: what is sent from here gets lost, and nothing says so. */
  cut(): Promise<void>
}

const run = promisify(execFile)

/**
 * Makes a namespace; it is removed at the end of the test.
 *
 * @throws when this user or this machine cannot make any
 */
export async function createNamespace(): Promise<Namespace> {
  const name = `presence-${process.pid}`
  const near = `pb${process.pid}`
  const far = `pc${process.pid}`
  // Addresses for measuring (RFC 2544), by which no network is reached.
  const net = `198.19.${process.pid % 256}`
  const host = `${net}.1`
  await run('ip', ['netns', 'add', name])
  onTeardown(() => run('ip', ['netns', 'del', name]))
  await run('ip', ['link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', name])
  // Not left to the namespace, which lives on for as long as a socket in it tries to say goodbye.
  onTeardown(() => run('ip', ['link', 'del', near]))
  await run('ip', ['address', 'add', `${host}/30`, 'dev', near])
  await run('ip', ['link', 'set', near, 'up'])
  await run('ip', ['-n', name, 'address', 'add', `${net}.2/30`, 'dev', far])
  await run('ip', ['-n', name, 'link', 'set', far, 'up'])
  return {
    name,
    host,
    cut: async () => void (await run('ip', ['-n', name, 'link', 'set', far, 'down'])),
  }
}
