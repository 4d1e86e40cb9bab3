import { expect } from 'chai'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { dirname, join, normalize, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

interface Boundary {
  /** The other folders that may be imported. */
  readonly folders: readonly string[]
  /** `none`: a pure folder. `packages`: no `node:` modules, so that it runs in a browser. */
  readonly outside: 'none' | 'packages' | 'all'
}

/** Who may import whom. */
const BOUNDARIES: Readonly<Record<string, Boundary>> = {
  protocol: { folders: [], outside: 'none' },
  runtime: { folders: [], outside: 'all' },
  'bridge/core': { folders: ['protocol'], outside: 'none' },
  bridge: { folders: ['protocol', 'runtime', 'bridge/core'], outside: 'all' },
  broker: { folders: ['protocol', 'runtime'], outside: 'all' },
  'client/core': { folders: ['protocol'], outside: 'none' },
  client: { folders: ['protocol', 'client/core'], outside: 'packages' },
  server: {
    folders: ['protocol', 'runtime', 'bridge/core', 'bridge', 'broker', 'client'],
    outside: 'all',
  },
}

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const COMMENT = /\/\*[^]*?\*\/|^\s*\/\/.*$/gm
const STATEMENT = /^\s*(?:import|export)\b(?:[^'"`;]*?\bfrom)?\s*['"]([^'"\n]+)['"]/gm
const EXPRESSION = /\b(?:import|require)\(\s*['"]([^'"\n]+)['"]/g

describe('boundaries', () => {
  for (const folder of Object.keys(BOUNDARIES)) {
    if (!existsSync(join(ROOT, folder))) continue
    it(`${folder} imports only what it may`, () => {
      const files = sourceFiles().filter((file) => folderOf(file) === folder)
      const found = files.flatMap((file) =>
        violations(file, readFileSync(join(ROOT, file), 'utf8')),
      )
      expect(found).to.deep.equal([])
    })
  }

  const forbidden = [
    ['protocol/a.ts', `import { readFile } from 'node:fs/promises'`],
    ['protocol/a.ts', `import type { Packet } from 'mqtt-packet'`],
    ['protocol/a.ts', `export * from '../broker/index.ts'`],
    ['bridge/core/a.ts', `import 'node:process'`],
    ['bridge/core/a.ts', `import { now } from '../clock.ts'`],
    ['bridge/core/deep/a.ts', `import {\n  one,\n  two,\n} from '../../store/memory.ts'`],
    ['bridge/core/a.ts', `import { systemClock } from '../../runtime/clock.ts'`],
    ['runtime/a.ts', `import type { Cause } from '../protocol/index.ts'`],
    ['bridge/a.ts', `import { createBroker } from '../broker/index.ts'`],
    ['broker/a.ts', `const { step } = await import('../bridge/core/step.ts')`],
    ['client/a.ts', `import { EventEmitter } from 'events'`],
    ['client/a.ts', `import { createBridge } from '../bridge/index.ts'`],
    ['broker/a.ts', `import { main } from '../server/cli.ts'`],
    ['server/a.ts', `import { port } from '../test/helpers/port.ts'`],
    ['server/a.ts', `import { createBroker } from 'presence-bridge/broker'`],
    ['broker/a.ts', `import { topics } from '../protocol/topics.js'`],
  ] as const
  for (const [file, source] of forbidden) {
    it(`${file} may not contain: ${source.replaceAll('\n', '')}`, () => {
      expect(violations(file, source)).to.have.length(1)
    })
  }

  const allowed = [
    ['protocol/a.ts', `import { b } from './b.ts'`],
    ['protocol/a.ts', `/**\n * import { b } from 'presence-bridge/protocol'\n */`],
    ['bridge/core/deep/a.ts', `import type { Room } from '../../../protocol/index.ts'`],
    [
      'bridge/store/a.ts',
      `import { step } from '../core/step.ts'\nimport { readFile } from 'node:fs'`,
    ],
    ['client/a.ts', `import mqtt from 'mqtt'`],
    ['server/a.ts', `import { createBroker } from '../broker/index.ts'`],
  ] as const
  for (const [file, source] of allowed) {
    it(`${file} may contain: ${source.replaceAll('\n', ' ')}`, () => {
      expect(violations(file, source)).to.deep.equal([])
    })
  }
})

function violations(file: string, source: string): string[] {
  const code = source.replace(COMMENT, '')
  return [...code.matchAll(STATEMENT), ...code.matchAll(EXPRESSION)]
    .map((match) => match[1] ?? '')
    .filter((specifier) => !isAllowed(file, specifier))
    .map((specifier) => `${file} imports ${specifier}`)
}

function isAllowed(file: string, specifier: string): boolean {
  const folder = folderOf(file)
  const boundary = BOUNDARIES[folder ?? '']
  if (boundary === undefined) return false
  if (specifier.startsWith('.')) {
    const target = folderOf(posix(normalize(join(dirname(file), specifier))))
    const reachable = target !== undefined && [folder, ...boundary.folders].includes(target)
    return reachable && specifier.endsWith('.ts')
  }
  if (specifier.startsWith('presence-bridge')) return false
  if (boundary.outside === 'packages') return !isBuiltin(specifier)
  return boundary.outside === 'all'
}

function folderOf(file: string): string | undefined {
  const owners = Object.keys(BOUNDARIES).filter((folder) => file.startsWith(`${folder}/`))
  return owners.toSorted((a, b) => b.length - a.length)[0]
}

function sourceFiles(): string[] {
  return Object.keys(BOUNDARIES)
    .filter((folder) => !folder.includes('/') && existsSync(join(ROOT, folder)))
    .flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => /\.tsx?$/.test(name))
        .map((name) => posix(join(folder, name))),
    )
}

function posix(path: string): string {
  return path.replaceAll(sep, '/')
}
