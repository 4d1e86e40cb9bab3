import { expect } from 'chai'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { WebSocket } from 'ws'
import { connectVisitor, observe } from '../helpers/cluster-crowd.ts'
import { freePorts, isFree } from '../helpers/free-port.ts'
import { build, exitOf, PACKAGE_ROOT } from '../helpers/process.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { eventually, within } from '../helpers/within.ts'

/** The example, on ports of its own. */
interface Example {
  readonly child: ChildProcess
  readonly address: { readonly host: string; readonly mqttPort: number; readonly httpPort: number }
  /** The process ids of the servers, and the port of HTTP of the first one. */
  readonly servers: readonly number[]
  readonly firstPort: number
  /** Everything it has said. */
  readonly said: () => string
}

async function startExample(...flags: readonly string[]): Promise<Example> {
  await build()
  const firstPort = await freePorts(9)
  const [mqttPort, httpPort] = [firstPort + 7, firstPort + 8]
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('PRESENCE_'))
  const child = spawn('bash', ['examples/cluster/start.sh', ...flags], {
    cwd: PACKAGE_ROOT,
    env: {
      ...Object.fromEntries(inherited),
      CLUSTER_FIRST_PORT: String(firstPort),
      CLUSTER_MQTT_PORT: String(mqttPort),
      CLUSTER_HTTP_PORT: String(httpPort),
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
  const isUp = (): boolean => /^ {2}servers /m.test(said) || child.exitCode !== null
  await eventually('the example is up', isUp, 30_000)
  const [, pids] = /^ {2}servers +([\d ]+) \(/m.exec(said) ?? []
  if (pids === undefined) throw new Error(`the example did not start:\n${said}`)
  return {
    child,
    address: { host: '127.0.0.1', mqttPort, httpPort },
    servers: pids.split(' ').map(Number),
    firstPort,
    said: () => said,
  }
}

describe('the example of several brokers', function () {
  this.timeout(60_000)

  it('survives the death of a server, and ends everything with Ctrl-C', async () => {
    const example = await startExample('--grace-broker', '8s')
    const { address, child, servers, firstPort, said } = example
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
    const counts = await Promise.all([1, 3, 5].map((i) => connectionsOf(firstPort + i)))
    expect(counts.every((count) => count > 0)).to.equal(true, counts.join())

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
    const free = await Promise.all(Array.from({ length: 9 }, (_, i) => isFree(firstPort + i)))
    expect(free.every(Boolean)).to.equal(true)
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
