import { expect } from 'chai'
import { once, type EventEmitter } from 'node:events'
import { copyFileSync, readFileSync } from 'node:fs'
import { get } from 'node:https'
import { connect as connectTcp } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import { startProgram, type Program } from '../helpers/process.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { eventually, within } from '../helpers/within.ts'
import { createFolder, makeCertificate, type Certificate } from './security/certificates.ts'
import { SECRET, tokenFor } from './security/tokens.ts'

/** A server with TLS on every way, and its certificate. */
async function startSecure(
  flags: readonly string[] = [],
): Promise<{ server: Program; mqttsPort: number; files: Certificate; folder: string }> {
  const folder = createFolder()
  const files = makeCertificate(folder, 'first')
  const tls = ['--tls-cert', files.cert, '--tls-key', files.key, '--mqtts-port', '0']
  const server = await startProgram({ flags: [...tls, ...flags] })
  const ready = server.log.find(({ msg }) => msg === 'ready')
  return { server, mqttsPort: Number(ready?.['mqttsPort']), files, folder }
}

async function connect(url: string, options: IClientOptions): Promise<MqttClient> {
  const client = await mqtt.connectAsync(url, { reconnectPeriod: 0, ...options }, false)
  client.on('error', () => {})
  onTeardown(() => client.endAsync(true))
  return client
}

/** The common name of the certificate that a port shows. */
async function nameAt(port: number): Promise<string> {
  const socket: TLSSocket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { CN } = socket.getPeerCertificate().subject
  socket.destroy()
  return String(CN)
}

describe('TLS', () => {
  it('is spoken over MQTT, WebSocket and HTTP', async () => {
    const { server, mqttsPort, files } = await startSecure()
    const ca = readFileSync(files.cert)
    for (const url of [
      `mqtts://127.0.0.1:${mqttsPort}`,
      `wss://127.0.0.1:${server.httpPort}/mqtt`,
    ]) {
      const client = await connect(url, { ca, username: 'alice' })
      const message = once(client as unknown as EventEmitter, 'message')
      await client.subscribeAsync('presence/users/alice/status')
      const [, payload] = (await within(5000, 'a message', message)) as [string, Buffer]
      expect(payload.toString()).to.equal('online')
    }
    const status = await new Promise((resolve, reject) => {
      get(`https://127.0.0.1:${server.httpPort}/healthz`, { ca }, (response) => {
        resolve(response.resume().statusCode)
      }).once('error', reject)
    })
    expect(status).to.equal(200)
  })

  it('has other certificates after SIGHUP, and nobody is dropped', async () => {
    const { server, mqttsPort, files, folder } = await startSecure()
    const ca = readFileSync(files.cert)
    const clients = await Promise.all(
      [`mqtts://127.0.0.1:${mqttsPort}`, `wss://127.0.0.1:${server.httpPort}/mqtt`].map((url) =>
        connect(url, { ca }),
      ),
    )
    const second = makeCertificate(folder, 'second')
    copyFileSync(second.cert, files.cert)
    copyFileSync(second.key, files.key)
    server.kill('SIGHUP')
    await eventually('the new certificate', async () => (await nameAt(mqttsPort)) === 'second')
    expect(await nameAt(server.httpPort)).to.equal('second')
    for (const client of clients) {
      expect(client.connected).to.equal(true)
      await client.publishAsync('x', 'y', { qos: 1 })
    }
  })

  it('keeps its certificates when the new ones cannot be used', async () => {
    const { server, mqttsPort, files, folder } = await startSecure()
    copyFileSync(makeCertificate(folder, 'other').cert, files.cert)
    server.kill('SIGHUP')
    const isTold = (): boolean => server.log.some(({ level }) => level === 'error')
    await eventually('the log says so', isTold)
    expect(server.log.find(({ level }) => level === 'error')?.['error']).to.match(
      /expected the key of/,
    )
    expect(await nameAt(mqttsPort)).to.equal('first')
  })

  it('leaves the port without it to this machine, and says no to what is no TLS', async () => {
    const { server, mqttsPort } = await startSecure()
    expect(server.mqttPort).to.be.above(0)
    const client = await connect(`mqtt://127.0.0.1:${server.mqttPort}`, {})
    expect(client.connected).to.equal(true)
    const plain = connectTcp(mqttsPort, '127.0.0.1')
    plain.write('\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00')
    plain.on('error', () => {})
    plain.resume()
    await within(5000, 'the end of a connection without TLS', once(plain, 'close'))
  })

  it('knows a user by a certificate of its authority, and by no other', async () => {
    const folder = createFolder()
    const authority = makeCertificate(folder, 'authority')
    const { server, mqttsPort, files } = await startSecure(['--tls-ca', authority.cert])
    const ca = readFileSync(files.cert)
    const url = `mqtts://127.0.0.1:${mqttsPort}`
    const own = makeCertificate(folder, 'sensor-7', authority)
    const good = { ca, cert: readFileSync(own.cert), key: readFileSync(own.key), clientId: 'c' }
    const client = await connect(url, { ...good, username: 'somebody else' })
    const message = once(client as unknown as EventEmitter, 'message')
    await client.subscribeAsync('presence/users/+')
    const [topic] = (await within(5000, 'a message', message)) as [string]
    expect(topic).to.equal('presence/users/sensor-7')
    const forged = makeCertificate(folder, 'sensor-8')
    const bad = { ...good, cert: readFileSync(forged.cert), key: readFileSync(forged.key) }
    for (const options of [bad, { ca }]) {
      const refused = await connect(url, options).then(
        () => 'let in',
        (error: Error) => error.message,
      )
      expect(refused).to.match(/not authorized/i)
    }
    expect(server.log.filter(({ level }) => level === 'error')).to.deep.equal([])
  })
})

describe('a proxy', () => {
  const proxied = ['--trusted-proxy', '127.0.0.1', '--jwt-secret', SECRET]

  /** The address that the log gives for a refused connection. */
  function addressIn(server: Program): unknown {
    return server.log.find(({ msg }) => msg === 'connection refused')?.['address']
  }

  for (const [title, header] of [
    ['version 1', Buffer.from('PROXY TCP4 203.0.113.7 127.0.0.1 50000 1883\r\n')],
    ['version 2', Buffer.from('0d0a0d0a000d0a515549540a2111000ccb0071077f000001c350075b', 'hex')],
  ] as const) {
    it(`that is trusted says for whom it speaks: PROXY protocol, ${title}`, async () => {
      const server = await startProgram({ flags: proxied })
      const socket = connectTcp(server.mqttPort, '127.0.0.1')
      socket.on('error', () => {})
      socket.resume()
      const connect311 = Buffer.from('\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c', 'latin1')
      // In two parts, so that the header has to be waited for.
      socket.write(header.subarray(0, 9))
      setTimeout(() => socket.write(Buffer.concat([header.subarray(9), connect311])), 20)
      await within(5000, 'the end', once(socket, 'close'))
      await eventually('the log says so', () => addressIn(server) === '203.0.113.7')
    })
  }

  it('that is trusted says for whom it speaks: X-Forwarded-For', async () => {
    const server = await startProgram({ flags: proxied })
    const url = `ws://127.0.0.1:${server.httpPort}/mqtt`
    const headers = { 'x-forwarded-for': '198.51.100.1, 203.0.113.9' }
    await connect(url, { wsOptions: { headers } }).catch(() => {})
    await eventually('the log says so', () => addressIn(server) === '203.0.113.9')
  })

  it('that nobody trusts is not believed', async () => {
    const server = await startProgram({ flags: ['--jwt-secret', SECRET] })
    const url = `ws://127.0.0.1:${server.httpPort}/mqtt`
    await connect(url, { wsOptions: { headers: { 'x-forwarded-for': '203.0.113.9' } } }).catch(
      () => {},
    )
    await eventually('the log says so', () => addressIn(server) === '127.0.0.1')
    const socket = connectTcp(server.mqttPort, '127.0.0.1')
    socket.on('error', () => {})
    socket.write('PROXY TCP4 203.0.113.7 127.0.0.1 50000 1883\r\n')
    socket.resume()
    await within(5000, 'the end', once(socket, 'close'))
  })

  it('needs nothing to be said: without a header it speaks for itself', async () => {
    const server = await startProgram({ flags: proxied })
    const password = await tokenFor('alice')
    const client = await connect(`mqtt://127.0.0.1:${server.mqttPort}`, { username: 'a', password })
    expect(client.connected).to.equal(true)
  })
})
