import { expect } from 'chai'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect as connectTcp, createServer } from 'node:net'
import { WebSocket } from 'ws'
import { connectVisitor, observe } from '../helpers/cluster-crowd.ts'
import { freePorts, isFree } from '../helpers/free-port.ts'
import { build, exitOf, PACKAGE_ROOT, type Exit } from '../helpers/process.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { eventually, within } from '../helpers/within.ts'

/** The ports of the example: nine, of which the last two are HAProxy's. */
interface Ports {
  readonly first: number
  readonly mqtt: number
  readonly http: number
}

async function ownPorts(): Promise<Ports> {
  const first = await freePorts(9)
  return { first, mqtt: first + 7, http: first + 8 }
}

/** A run of the example's script. */
interface Run {
  readonly child: ChildProcess
  readonly exited: Promise<Exit>
  /** Everything it has said. */
  readonly said: () => string
  /** Resolves when it has said that it is up, or has ended. */
  readonly settled: () => Promise<'up' | 'ended'>
}

async function runExample(ports: Ports, flags: readonly string[] = []): Promise<Run> {
  await build()
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('PRESENCE_'))
  const child = spawn('bash', ['examples/cluster/start.sh', ...flags], {
    cwd: PACKAGE_ROOT,
    env: {
      ...Object.fromEntries(inherited),
      CLUSTER_FIRST_PORT: String(ports.first),
      CLUSTER_MQTT_PORT: String(ports.mqtt),
      CLUSTER_HTTP_PORT: String(ports.http),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (said += text))
  }
  const exited = exitOf(child)
  onTeardown(async () => {
    child.kill('SIGINT')
    await exited
  })
  const isUp = (): boolean => /^ {2}servers /m.test(said)
  return {
    child,
    exited,
    said: () => said,
    async settled() {
      const hasEnded = (): boolean => isUp() || child.exitCode !== null
      await eventually('the example is up or has ended', hasEnded, 30_000)
      return isUp() ? 'up' : 'ended'
    },
  }
}

/** The example when it is up. */
interface Example extends Run {
  readonly address: { readonly host: string; readonly mqttPort: number; readonly httpPort: number }
  /** The process ids of the servers. */
  readonly servers: readonly number[]
  /** The ports of their HTTP. */
  readonly httpPorts: readonly number[]
  readonly firstPort: number
}

async function startExample(...flags: readonly string[]): Promise<Example> {
  const ports = await ownPorts()
  const run = await runExample(ports, flags)
  await run.settled()
  const [, pids] = /^ {2}servers +([\d ]+) \(/m.exec(run.said()) ?? []
  if (pids === undefined) throw new Error(`the example did not start:\n${run.said()}`)
  return {
    ...run,
    address: { host: '127.0.0.1', mqttPort: ports.mqtt, httpPort: ports.http },
    servers: pids.split(' ').map(Number),
    httpPorts: [1, 3, 5].map((i) => ports.first + i),
    firstPort: ports.first,
  }
}

describe('the example of several brokers', function () {
  this.timeout(60_000)

  it('survives the death of a server, and ends everything with Ctrl-C', async () => {
    const example = await startExample('--grace-broker', '8s')
    const { address, child, servers, httpPorts, firstPort, said } = example
    const all = [...httpPorts, address.httpPort]
    const states = await Promise.all(
      all.map(async (port) => (await fetch(`http://127.0.0.1:${port}/readyz`)).status),
    )
    expect(states).to.deep.equal([200, 200, 200, 200])
    const ports = (): number[] => [address.mqttPort]
    const observer = await observe(address.mqttPort)
    const users = Array.from({ length: 12 }, (_, i) => `guest-${i}`)
    const visitors = await Promise.all(
      users.map((user, i) =>
        connectVisitor({
          user,
          ports,
          first: 0,
          // Every other one comes by WebSocket.
          ...(i % 2 === 0 && {
            connect: { protocol: 'ws', port: address.httpPort, path: '/mqtt' },
          }),
        }),
      ),
    )
    await eventually('exact', () => observer.differences(users, []).length === 0, 10_000)

    // All three take part.
    const counts = await Promise.all(httpPorts.map(connectionsOf))
    expect(counts.every((count) => count > 0)).to.equal(true, counts.join())
    expect(said()).not.to.include(' is DOWN')

    process.kill(servers[1] ?? 0, 'SIGKILL')
    const isBack = (): boolean =>
      visitors.filter(({ losses }) => losses > 0).length > 0 &&
      visitors.every(({ isConnected }) => isConnected)
    await eventually('all are back', isBack, 10_000)
    await eventually('exact', () => observer.differences(users, []).length === 0, 20_000)
    // Long enough for the dead one to be missed.
    await new Promise((resolve) => setTimeout(resolve, 11_000))
    await eventually('exact', () => observer.differences(users, []).length === 0, 10_000)
    expect([...observer.offlineAt.keys()]).to.deep.equal([])
    expect(observer.moves.filter((move) => move.endsWith('left'))).to.deep.equal([])

    await areRefusedByAddress(address, said)

    child.kill('SIGINT')
    expect(await within(15_000, 'the example ends', exitOf(child))).to.include({ code: 130 })
    expect(await areFree(firstPort)).to.equal(true)
  })

  for (const { of, at, variable } of [
    { of: 'the first server', at: 0, variable: 'CLUSTER_FIRST_PORT' },
    { of: 'Redis', at: 6, variable: 'CLUSTER_FIRST_PORT' },
    { of: 'HAProxy for MQTT', at: 7, variable: 'CLUSTER_MQTT_PORT' },
    { of: 'HAProxy for HTTP', at: 8, variable: 'CLUSTER_HTTP_PORT' },
  ]) {
    it(`says that the port of ${of} is taken`, async () => {
      const ports = await ownPorts()
      const port = ports.first + at
      const other = createServer().listen(port, '127.0.0.1')
      onTeardown(() => void other.close())
      await once(other, 'listening')
      const { exited, said } = await runExample(ports)
      expect(await exited).to.include({ code: 1 })
      expect(said()).to.equal(`port ${port} is already in use; choose another with ${variable}\n`)
    })
  }

  it('ends everything when one of its programs ends while it starts', async () => {
    const ports = await ownPorts()
    const { exited, said } = await runExample(ports, ['--grace-closed', '5'])
    expect(await exited).to.include({ code: 1 })
    expect(said()).to.match(/^server \d ended while it started$/m)
    expect(said()).not.to.include('mqtt://')
    expect(await areFree(ports.first)).to.equal(true)
  })

  it('shares no port with another one that was started at the same moment', async () => {
    const [one, other] = [await ownPorts(), await ownPorts()]
    const shared = { mqtt: one.mqtt, http: one.http }
    const runs = await Promise.all([runExample(one), runExample({ ...other, ...shared })])
    const states = await Promise.all(runs.map(({ settled }) => settled()))
    expect(states.toSorted()).to.deep.equal(['ended', 'up'])
    const late = runs[states.indexOf('ended')]
    expect(await late?.exited).to.include({ code: 1 })
    expect(late?.said()).to.match(/^HAProxy ended while it started$/m)
  })

  it('says which program is missing', async () => {
    const child = spawn('/bin/bash', ['examples/cluster/start.sh'], {
      cwd: PACKAGE_ROOT,
      env: { PATH: '/nowhere' },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
    expect(await exitOf(child)).to.include({ code: 1 })
    expect(said).to.match(/redis-server is missing; on Debian: sudo apt-get install/)
  })
})

/** Whether nothing of the example is left. */
async function areFree(firstPort: number): Promise<boolean> {
  const free = await Promise.all(Array.from({ length: 9 }, (_, i) => isFree(firstPort + i)))
  return free.every(Boolean)
}

async function connectionsOf(port: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  return Number(/^presence_broker_connections (\d+)/m.exec(text)?.[1])
}

/** The servers know a client by its own address, not by that of HAProxy. */
async function areRefusedByAddress(
  { mqttPort, httpPort }: Example['address'],
  said: () => string,
): Promise<void> {
  const bytes = Buffer.from('no MQTT at all')
  const tcp = connectTcp({ port: mqttPort, host: '127.0.0.1', localAddress: '127.0.0.7' })
  tcp.on('error', () => {}).write(bytes)
  const url = `ws://127.0.0.1:${httpPort}/mqtt`
  const webSocket = new WebSocket(url, ['mqtt'], { localAddress: '127.0.0.8' })
  webSocket.on('error', () => {}).on('open', () => webSocket.send(bytes))
  await Promise.all([once(tcp, 'close'), once(webSocket, 'close')])
  for (const address of ['127.0.0.7', '127.0.0.8']) {
    await eventually(`the log has ${address}`, () => said().includes(`"${address}"`))
  }
}
