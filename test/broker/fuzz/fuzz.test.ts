import { expect } from 'chai'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createRandom } from '../../helpers/random.ts'
import type { MqttPeer } from '../../helpers/mqtt-peer.ts'
import { startTcpBroker } from '../../helpers/tcp-broker.ts'
import { onTeardown } from '../../helpers/teardown.ts'
import type { Progress } from './attacker-process.ts'

/** How many packets are sent; millions by option. */
const PACKETS = Number(process.env['FUZZ_PACKETS'] ?? 100_000)
const SEED = Number(process.env['SEED'] ?? createRandom(Date.now()).below(1_000_000))

/** The aim is a fifth of a second; a machine with others at work may add to it, in milliseconds. */
const GENEROUS_MS = 1500
const MAX_GROWTH_MB = 16

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

describe('a broker that is sent hostile bytes', () => {
  it(`neither falls, grows, nor keeps a well-behaved neighbour waiting: ${PACKETS} packets`, async function () {
    this.timeout(Math.max(120_000, PACKETS * 2))
    const broken: unknown[] = []
    const note = (error: unknown): void => void broken.push(error)
    process.on('unhandledRejection', note).on('uncaughtExceptionMonitor', note)
    onTeardown(() => process.off('unhandledRejection', note).off('uncaughtExceptionMonitor', note))
    const { broker, port, connect, untilConnections } = await startTcpBroker({
      connectTimeoutMs: 1000,
      packetTimeoutMs: 1000,
      limits: {
        maxMessagesPerSecond: 1_000_000,
        maxConnectionsPerUser: 1000,
        maxSessions: 50,
        maxSessionQueue: 50,
        sessionExpiryMs: 10_000,
        maxRetained: 100,
      },
    })
    const neighbour = await connect({ clientId: 'neighbour', username: 'neighbour' })
    await neighbour.subscribe([{ topic: 'neighbour', qos: 1 }])
    neighbour.acknowledge()

    const attacker = fork(fileURLToPath(new URL('./attacker-process.ts', import.meta.url)), {
      execArgv: ['--import=tsx'],
    })
    onTeardown(() => attacker.kill('SIGKILL'))
    let sent = 0
    let isOver = false
    let memoryBefore = 0
    attacker.on('message', (progress: Progress) => {
      sent = progress.sent
      isOver = progress.isOver
    })
    attacker.send({ port, packets: PACKETS, seed: SEED })

    let worstMs = 0
    const startedAt = performance.now()
    while (!isOver && attacker.exitCode === null) {
      worstMs = Math.max(worstMs, await roundTrip(neighbour))
      // The first fifth fills what is bounded: sessions, queues, retained messages.
      if (memoryBefore > 0 || sent < PACKETS / 5) continue
      memoryBefore = await settledMemory()
      // What has come while the garbage was collected is not the attacker's doing.
      await roundTrip(neighbour)
    }
    if (!isOver) await once(attacker, 'exit')
    const seconds = (performance.now() - startedAt) / 1000
    await untilConnections(1)
    const grownMb = (await settledMemory()) - memoryBefore
    console.log(
      `      seed ${SEED}: ${sent} packets in ${seconds.toFixed(1)} s, the neighbour waited ${worstMs.toFixed(0)} ms at worst, the heap grew by ${grownMb.toFixed(1)} MB`,
    )
    const what = `with SEED=${SEED}`
    expect(broken, what).to.deep.equal([])
    expect(sent, what).to.be.at.least(PACKETS)
    expect(broker.metrics()['errors'], what).to.equal(0)
    expect(worstMs, what).to.be.lessThan(GENEROUS_MS)
    expect(grownMb, what).to.be.lessThan(MAX_GROWTH_MB)
    expect(neighbour.stream.destroyed, what).to.equal(false)
  })
})

/** How long a message of a client to itself takes, in milliseconds; then the client forgets everything. */
async function roundTrip(client: MqttPeer): Promise<number> {
  const askedAt = performance.now()
  client.publish({ topic: 'neighbour', qos: 1, messageId: 1 })
  await client.first(1)
  const ms = performance.now() - askedAt
  client.forget()
  return ms
}

/** Memory in use when nothing is on its way, in megabytes. */
async function settledMemory(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    collectGarbage()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { heapUsed, external } = process.memoryUsage()
  return (heapUsed + external) / 1024 / 1024
}
