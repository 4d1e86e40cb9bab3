import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { createTopics } from '../../protocol/index.ts'
import type { Command, Report, Request } from './client-process.ts'
import type { Address, ClientOptions } from './connect-options.ts'
import { exitOf, PACKAGE_ROOT } from './process.ts'
import { onTeardown } from './teardown.ts'
import { within } from './within.ts'

/** An MQTT client in another process. */
export interface RemoteClient {
  readonly user: string
  readonly clientId: string
  /** Publishes on this client's own presence topic; resolves with the acknowledgement, rejects without. */
  say(document: object | string): Promise<void>
  leave(): Promise<void>
  cut(): Promise<void>
  /** Whether its connection is gone, as far as its process has told. */
  readonly isClosed: boolean
  /** Resolves when its process tells that the connection is gone. */
  readonly closed: Promise<void>
}

/** A process of MQTT clients. */
export interface ClientProcess {
  connect(address: Address, options: ClientOptions): Promise<RemoteClient>
  kill(signal: NodeJS.Signals): void
}

/** How long a process may take to do what it is told, in milliseconds. */
const ANSWER_MS = 25_000

const SCRIPT = fileURLToPath(new URL('./client-process.ts', import.meta.url))

/** Starts a process of MQTT clients; it is killed at the end of the test. */
export async function startClientProcess(namespace?: string): Promise<ClientProcess> {
  const run = [process.execPath, '--import', 'tsx', SCRIPT]
  const [file = '', ...argv] = namespace ? ['ip', 'netns', 'exec', namespace, ...run] : run
  const child = spawn(file, argv, {
    cwd: PACKAGE_ROOT,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const exited = exitOf(child)
  const calls = new Map<number, { resolve: () => void; reject: (error: Error) => void }>()
  const closed = new Map<string, () => void>()
  let ids = 0
  let keys = 0

  child.on('message', (report: Report) => {
    if (report.type === 'closed') return closed.get(report.key)?.()
    const call = calls.get(report.id)
    calls.delete(report.id)
    if (report.error === undefined) call?.resolve()
    else call?.reject(new Error(report.error))
  })
  onTeardown(async () => {
    child.kill('SIGKILL')
    await exited
  })

  function answerTo(id: number): Promise<void> {
    return new Promise((resolve, reject) => calls.set(id, { resolve, reject }))
  }

  function tell(command: Command): Promise<void> {
    const request: Request = { id: ++ids, command }
    const answer = answerTo(request.id)
    child.send(request, (error) => {
      if (error) calls.get(request.id)?.reject(error)
    })
    return within(
      ANSWER_MS,
      `a process of clients does as told: ${JSON.stringify(command)}`,
      answer,
    )
  }

  await Promise.race([
    answerTo(0),
    exited.then(({ code }) => {
      throw new Error(`the process of clients ended with ${code}`)
    }),
  ])
  return {
    async connect(address, options) {
      const key = String(++keys)
      const clientId = options.clientId ?? `client-${crypto.randomUUID()}`
      const user = options.user ?? clientId
      const topic = createTopics().connection(user, clientId)
      let isClosed = false
      const gone = new Promise<void>((resolve) => {
        closed.set(key, () => {
          isClosed = true
          resolve()
        })
      })
      await tell({ type: 'connect', key, address, options: { ...options, clientId } })
      return {
        user,
        clientId,
        say(document) {
          const payload = typeof document === 'string' ? document : JSON.stringify(document)
          const said = tell({ type: 'publish', key, topic, payload })
          return Promise.race([said, gone.then(() => Promise.reject(new Error('it is closed')))])
        },
        leave: () => tell({ type: 'leave', key }),
        cut: () => tell({ type: 'cut', key }),
        closed: gone,
        get isClosed() {
          return isClosed
        },
      }
    },
    kill: (signal) => void child.kill(signal),
  }
}
