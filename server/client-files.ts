import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { extname } from 'node:path'
import { gzipSync } from 'node:zlib'

/** A file of the browser client or of the demo page, as it is served. */
export interface ClientFile {
  readonly type: string
  readonly body: Buffer
  readonly gzipped: Buffer
  readonly etag: string
}

/** Beside this module when it is compiled; below dist/ when it runs from its source. */
const FOLDERS = ['../client/', '../dist/client/']

const cache = new Map<string, ClientFile | undefined>()

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.map': 'application/json',
}

/**
 * The file of the browser client at a path such as `/client.js`, or of the demo page, which is at `/`;
 * undefined when there is none.
 */
export function clientFileAt(path: string): ClientFile | undefined {
  const name = path === '/' ? 'demo.html' : path.slice(1)
  if (!/^(client|demo)[a-z.-]*\.(js|js\.map|css|html)$/.test(name)) return undefined
  if (!cache.has(name)) cache.set(name, load(name))
  return cache.get(name)
}

function load(name: string): ClientFile | undefined {
  for (const folder of FOLDERS.map((path) => new URL(path, import.meta.url))) {
    if (!list(folder).includes(name)) continue
    const body = readFileSync(new URL(name, folder))
    const hash = createHash('sha256').update(body).digest('base64url')
    return {
      type: TYPES[extname(name)] ?? 'application/octet-stream',
      body,
      gzipped: gzipSync(body, { level: 9 }),
      etag: `"${hash.slice(0, 22)}"`,
    }
  }
  return undefined
}

function list(folder: URL): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
