import { expect } from 'chai'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { generate } from 'mqtt-packet'
import { VERSIONS } from '../helpers/connect-options.ts'
import { json, watch } from '../helpers/presence-reader.ts'
import { startProgram } from '../helpers/process.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { eventually } from '../helpers/within.ts'

const ROUNDS = 50

async function openSocket(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  onTeardown(() => socket.destroy())
  await once(socket, 'connect')
  // What comes is of no interest, but the end is only seen by a socket that is read.
  socket.resume()
  return socket
}

describe('two CONNECTs with one client id at the same moment', () => {
  for (const version of ['3.1', '3.1.1', '5'] as const) {
    it(`leave one connection, and nobody sees a thing: MQTT ${version}`, async function () {
      this.timeout(20_000)
      const server = await startProgram({ flags: ['--grace-closed', '0', '--grace-timeout', '0'] })
      const reader = await watch(server, 'presence/users/+')
      const protocolVersion = VERSIONS[version]
      const packet = generate({
        cmd: 'connect',
        protocolId: version === '3.1' ? 'MQIsdp' : 'MQTT',
        protocolVersion,
        clean: true,
        clientId: 'twin',
        username: 'twin',
        keepalive: 0,
      })
      const isOpen = (socket: Socket): boolean => !socket.destroyed && !socket.readableEnded
      let open: Socket[] = []
      for (let round = 0; round < ROUNDS; round++) {
        const pair = await Promise.all([openSocket(server.mqttPort), openSocket(server.mqttPort)])
        for (const socket of pair) socket.write(packet)
        open.push(...pair)
        await eventually(`one of ${open.length} is left in round ${round}`, () => {
          open = open.filter(isOpen)
          return open.length === 1
        })
      }
      await reader.caughtUp()
      const metrics = await server.metrics()
      // The survivor and the reader.
      expect(metrics.get('presence_broker_connections')).to.equal(2)
      expect(open.filter(isOpen)).to.have.length(1)
      const twin = reader.messages.filter(({ topic }) => topic === 'presence/users/twin')
      expect(twin.map((message) => json(message)['status'])).to.deep.equal(['online'])
      expect(json({ text: reader.last('presence/users/twin') ?? '' })).to.include({
        connections: 1,
      })
    })
  }
})
