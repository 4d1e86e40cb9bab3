import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { onTeardown } from './teardown.ts'

/** Lets everything to a port of this machine pass, each way later by some milliseconds; gives its own port. */
export async function startSlowProxy(port: number, delayMs: () => number): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.setNoDelay(true)
      // A delay that gets shorter lets nothing overtake.
      const underway: Buffer[] = []
      let last = 0
      from.on('data', (bytes: Buffer) => {
        underway.push(bytes)
        last = Math.max(last, performance.now() + delayMs())
        setTimeout(() => void to.write(underway.shift() ?? ''), last - performance.now())
      })
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTeardown(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  return (server.address() as AddressInfo).port
}
