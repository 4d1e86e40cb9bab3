/*
 * All readers and publishers, in one process. Started by fanout.ts, which tells it over the process's
 * channel to connect a group of readers, and to have it published to for a while.
 */
import { once } from 'node:events'
import { performance } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import { connect, type Socket } from 'node:net'
import { generate } from 'mqtt-packet'
import { connectReader, type Arrivals, type Transport } from './fanout-reader.ts'

/** What the process is asked for; it answers each with one message. */
export type LoadRequest =
  | { kind: 'connect'; group: string; transport: Transport; port: number; publisherPort: number }
  /** Publishes for a while, never having more than `window` messages on their way. */
  | { kind: 'run'; group: string; window: number; ms: number }

/** What came of a run. */
export interface LoadResult {
  readonly deliveries: number
  readonly frames: number
  readonly ms: number
}

/** How many subscribers a group has. */
const READERS = 500

const TOPIC = 'bench/fanout'
const PACKET = generate({
  cmd: 'publish',
  topic: TOPIC,
  payload: Buffer.alloc(120, 'x'),
  qos: 0,
  retain: false,
  dup: false,
})

interface Group {
  readonly publisher: Socket
  readonly arrivals: Arrivals
  onArrival: () => void
}

const groups = new Map<string, Group>()

async function connectGroup(request: LoadRequest & { kind: 'connect' }): Promise<void> {
  const arrivals: Arrivals = { bytes: 0, frames: 0 }
  const publisher = connect({ port: request.publisherPort, host: '127.0.0.1', noDelay: true })
  publisher.write(
    generate({ cmd: 'connect', clientId: `${request.group}-publisher`, keepalive: 0, clean: true }),
  )
  await once(publisher, 'data')
  const group: Group = { publisher, arrivals, onArrival: () => {} }
  groups.set(request.group, group)
  const onData = (bytes: number, frames: number): void => {
    arrivals.bytes += bytes
    arrivals.frames += frames
    group.onArrival()
  }
  // All at once: Mosquitto's WebSockets take a tenth of a second for each exchange, however many wait.
  const { transport, port } = request
  await Promise.all(
    Array.from({ length: READERS }, () => connectReader(transport, port, TOPIC, onData)),
  )
}

async function run({
  group: name,
  window,
  ms,
}: LoadRequest & { kind: 'run' }): Promise<LoadResult> {
  const group = groups.get(name)
  if (!group) throw new Error(`no group ${name}`)
  const { arrivals, publisher } = group
  const before = { ...arrivals }
  const expectedBytes = PACKET.length * READERS
  // Half the window at a time: the broker works on one half while the other is counted.
  const batch = Math.ceil(window / 2)
  const bytes = Buffer.concat(Array.from({ length: batch }, () => PACKET))
  let sent = 0
  let isOver = false
  const started = performance.now()
  let last = started

  await new Promise<void>((resolve) => {
    group.onArrival = () => {
      last = performance.now()
      const complete = (arrivals.bytes - before.bytes) / expectedBytes
      while (!isOver && sent + batch - complete <= window) {
        publisher.write(bytes)
        sent += batch
      }
      if (isOver && complete >= sent) resolve()
    }
    group.onArrival()
    void pause(ms).then(() => (isOver = true))
  })
  return {
    deliveries: (arrivals.bytes - before.bytes) / PACKET.length,
    frames: arrivals.frames - before.frames,
    ms: last - started,
  }
}

process.on('message', (request: LoadRequest) => {
  const work = request.kind === 'connect' ? connectGroup(request) : run(request)
  work.then(
    (result) => process.send?.(result ?? {}),
    (error: unknown) => {
      console.error(error)
      process.exit(1)
    },
  )
})
process.on('disconnect', () => process.exit())
