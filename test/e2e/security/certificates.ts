import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTeardown } from '../../helpers/teardown.ts'

/** Files of a certificate and its key, both in PEM. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** A folder that is removed at the end of the test. */
export function createFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'presence-security-'))
  onTeardown(() => rmSync(folder, { recursive: true }))
  return folder
}

/** Makes a certificate for 127.0.0.1 that signs itself, or one that another one signs. */
export function makeCertificate(folder: string, name: string, by?: Certificate): Certificate {
  const files = { cert: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) }
  const key = [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    files.key,
  ]
  const subject = ['-subj', `/CN=${name}`]
  const names = ['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost']
  const signed = by ? ['-CA', by.cert, '-CAkey', by.key] : []
  execFileSync(
    'openssl',
    ['req', '-x509', ...key, '-days', '2', ...subject, ...names, ...signed, '-out', files.cert],
    { stdio: 'pipe' },
  )
  return files
}
