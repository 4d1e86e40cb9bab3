import { readFileSync } from 'node:fs'

/** The version in the package's package.json, which is one folder further up once this is built. */
export function readVersion(): string {
  for (const path of ['../package.json', '../../package.json']) {
    const version = versionIn(new URL(path, import.meta.url))
    if (version !== undefined) return version
  }
  throw new Error('expected a package.json above this file, got none')
}

function versionIn(url: URL): string | undefined {
  try {
    const manifest = JSON.parse(readFileSync(url, 'utf8')) as { readonly version?: string }
    return manifest.version
  } catch {
    return undefined
  }
}
