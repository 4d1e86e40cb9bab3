import { execFile, spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { build, PACKAGE_ROOT } from '../helpers/process.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { eventually, within } from '../helpers/within.ts'

const run = promisify(execFile)

const PROGRAM = `
import mqtt from 'mqtt'
import { connectMqttLink, createBridge } from 'presence-bridge/bridge'
import { createBroker } from 'presence-bridge/broker'
import { createTopics, parseUserDocument } from 'presence-bridge/protocol'

const broker = await createBroker({ mqttPort: 0 })
const bridge = await createBridge({ link: broker.link(), grace: { closed: 100 } })
const url = \`mqtt://127.0.0.1:\${broker.mqttPort}\`
const topics = createTopics()

const reader = await mqtt.connectAsync(url)
const seen: string[] = []
const gone = new Promise<void>((resolve) => {
  reader.on('message', (_topic, payload) => {
    const document = parseUserDocument(payload.toString())
    if (document) seen.push(\`\${document.user} \${document.status} \${document.reason}\`)
    if (document?.status === 'offline') resolve()
  })
})
await reader.subscribeAsync(topics.user('alice'))
const alice = await mqtt.connectAsync(url, { username: 'alice', reconnectPeriod: 0 })
alice.stream.destroy()
await gone
await reader.endAsync()
await bridge.close()
await broker.close()
console.log([...seen, bridge.ready, typeof connectMqttLink].join('\\n'))
`

const TSCONFIG = {
  compilerOptions: {
    target: 'es2022',
    module: 'nodenext',
    strict: true,
    skipLibCheck: true,
    types: ['node'],
    outDir: 'built',
    rootDir: '.',
  },
  files: ['program.mts'],
}

describe('the package', function () {
  this.timeout(60_000)
  let folder: string

  before(async () => {
    await build()
    folder = await mkdtemp(join(tmpdir(), 'presence-package-'))
    await install(folder)
  })
  after(() => rm(folder, { recursive: true, force: true }))

  it('is a library with types, whose broker and bridge run in one process', async () => {
    await writeFile(join(folder, 'program.mts'), PROGRAM)
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(TSCONFIG))
    const tsc = join(PACKAGE_ROOT, 'node_modules/typescript/bin/tsc')
    const checked = await run(process.execPath, [tsc, '-p', folder]).catch(
      (error: unknown) => error,
    )
    expect(checked).to.include({ stdout: '' })
    const { stdout } = await run(process.execPath, [join(folder, 'built/program.mjs')])
    expect(stdout.trim().split('\n')).to.deep.equal([
      'alice online null',
      'alice offline closed',
      'false',
      'function',
    ])
  })

  it('is a program', async () => {
    const { version, bin } = await readManifest(join(folder, 'node_modules/presence-bridge'))
    const program = join(folder, 'node_modules/presence-bridge', bin['presence-bridge'] ?? '')
    const { stdout } = await run(process.execPath, [program, '--version'])
    expect(stdout).to.equal(`${version}\n`)
    const help = await run(process.execPath, [program, '--help'])
    expect(help.stdout).to.include('--grace-closed')
  })

  it('is drained when `npm start` is told to end, as a supervisor does it', async () => {
    const cwd = join(folder, 'node_modules/presence-bridge')
    const env = { ...process.env, PRESENCE_MQTT_PORT: '0', PRESENCE_HTTP_PORT: '0' }
    const npm = spawn('npm', ['start', '--ignore-scripts'], { cwd, env, detached: true })
    onTeardown(() => endGroup(npm.pid))
    let said = ''
    npm.stderr.on('data', (chunk: Buffer) => (said += String(chunk)))
    // When nobody has its output open any more the program has ended, too.
    const closed = new Promise<void>((resolve) => npm.once('close', () => resolve()))
    await eventually('it is ready', () => said.includes('"msg":"ready"'), 10_000)
    npm.kill('SIGTERM')
    await within(5000, 'its end', closed)
    expect(said).to.include('"msg":"broker is drained"')
    expect(said).to.include('"msg":"stopped"')
  })

  it('brings nothing that is not for its users', async () => {
    const installed = join(folder, 'node_modules/presence-bridge')
    expect(await readdir(installed)).to.have.members([
      'dist',
      'LICENSE',
      'package.json',
      'PROTOCOL.md',
      'README.md',
      'SECURITY.md',
    ])
    const files = await readdir(join(installed, 'dist'), { recursive: true })
    expect(files.filter((name) => /\.test\.|tsbuildinfo|^test/.test(name))).to.deep.equal([])
  })
})

/** Ends a process and what it has started, whatever is left of it. */
function endGroup(pid = 0): void {
  try {
    if (pid > 0) process.kill(-pid, 'SIGKILL')
  } catch {
    // Nothing is left.
  }
}

interface Manifest {
  readonly version: string
  readonly bin: Record<string, string>
  readonly dependencies: Record<string, string>
}

async function readManifest(from: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(from, 'package.json'), 'utf8')) as Manifest
}

/** Packs the package, and installs it without a network: what it depends on is linked. */
async function install(into: string): Promise<void> {
  const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', into]
  const { stdout } = await run('npm', pack, { cwd: PACKAGE_ROOT })
  const packed = JSON.parse(stdout) as unknown
  const [{ filename = '' } = {}] = Object.values(packed as Record<string, { filename?: string }>)
  const modules = join(into, 'node_modules')
  await mkdir(join(modules, 'presence-bridge'), { recursive: true })
  const unpack = ['-xzf', join(into, filename), '-C', join(modules, 'presence-bridge')]
  await run('tar', [...unpack, '--strip-components=1'])
  await mkdir(join(modules, '@types'))
  const { dependencies } = await readManifest(join(modules, 'presence-bridge'))
  for (const name of [...Object.keys(dependencies), '@types/node', 'undici-types']) {
    await symlink(join(PACKAGE_ROOT, 'node_modules', name), join(modules, name))
  }
}
