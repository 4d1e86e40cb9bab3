import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { TlsOptions } from '../../broker/index.ts'
import type { Config } from '../config/options.ts'
import { readFile } from '../read-file.ts'
import { StartupError } from '../startup-error.ts'

/**
 * Reads the certificate and its key, and tries them.
 *
 * @throws StartupError that says which file and why
 */
export function readTls({ tlsCert, tlsKey, tlsCa }: Config): TlsOptions | undefined {
  if (tlsCert === undefined || tlsKey === undefined) return undefined
  const cert = readFile('--tls-cert', tlsCert)
  const key = readFile('--tls-key', tlsKey)
  const ca = tlsCa === undefined ? undefined : readFile('--tls-ca', tlsCa)
  const certificate = parse('--tls-cert', tlsCert, () => new X509Certificate(cert))
  const privateKey = parse('--tls-key', tlsKey, () => createPrivateKey(key))
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new StartupError(`--tls-key ${tlsKey}: expected the key of ${tlsCert}, got another one`)
  }
  if (ca !== undefined) parse('--tls-ca', tlsCa ?? '', () => new X509Certificate(ca))
  const tls: TlsOptions = { cert, key, ...(ca !== undefined && { ca, requestCert: true }) }
  parse('--tls-cert', tlsCert, () => createSecureContext(tls))
  return tls
}

function parse<T>(option: string, path: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new StartupError(`${option} ${path}: expected PEM, got something else`, { cause })
  }
}
