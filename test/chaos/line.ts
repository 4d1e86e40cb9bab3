import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { onTeardown } from '../helpers/teardown.ts'

/** A cable between somebody and a port of this machine, which may be another one after a restart. */
export interface Line {
  /** The port at the near end. */
  readonly port: number
  /** From now on nothing comes through, no goodbye either; each end thinks that the other one is silent. */
  stall(): void
  /** What was held back comes through. */
  resume(): void
  /** Cuts every connection; new ones are let through. */
  cut(): void
}

/** Lays a cable to whatever port there is when somebody connects; it is taken away at the end of the test. */
export async function layLine(portOf: () => number): Promise<Line> {
  const pairs = new Set<readonly [Socket, Socket]>()
  const waiting = new Set<() => void>()
  let isStalled = false

  function join(near: Socket): void {
    if (near.destroyed) return
    const far = connect({ port: portOf(), host: '127.0.0.1', noDelay: true })
    const pair = [near, far] as const
    pairs.add(pair)
    carry(near, far)
    carry(far, near)
    const end = (): void => void pairs.delete(pair)
    near.on('close', end)
    near.resume()
  }

  function carry(from: Socket, to: Socket): void {
    from.on('data', (bytes) => void to.write(bytes))
    from.on('error', () => {})
    from.on('close', () => {
      const pass = (): void => void to.destroy()
      if (isStalled) waiting.add(pass)
      else pass()
    })
  }

  const server = createServer({ noDelay: true }, (near) => {
    near.on('error', () => {})
    near.pause()
    if (isStalled) waiting.add(() => join(near))
    else join(near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  function cut(): void {
    for (const pair of pairs) for (const socket of pair) socket.destroy()
  }

  onTeardown(async () => {
    isStalled = false
    cut()
    server.close()
    await once(server, 'close')
  })
  return {
    port: (server.address() as AddressInfo).port,
    stall() {
      isStalled = true
      for (const pair of pairs) for (const socket of pair) socket.pause()
    },
    resume() {
      isStalled = false
      for (const pair of pairs) for (const socket of pair) socket.resume()
      const held = [...waiting]
      waiting.clear()
      for (const run of held) run()
    },
    cut,
  }
}
