import { createServer } from 'node:net'

/**
 * Below what the kernel gives to outgoing connections and to `listen(0)`: there a port whose server is dead for a
 * while may be taken by anybody, and whoever connects to it again and again ends up connected to itself. With 10,000
 * more it is the port of a Redis Cluster's bus.
 */
const FIRST = 10_000
const LAST = 19_999

const given = new Set<number>()

/** A port for a server that is started again on the same one; no other call gets it. */
export function freePort(): Promise<number> {
  return freePorts(1)
}

/** The first of so many ports in a row. */
export async function freePorts(count: number): Promise<number> {
  for (;;) {
    const first = FIRST + Math.floor(Math.random() * (LAST - FIRST - count))
    const ports = Array.from({ length: count }, (_, i) => first + i)
    if (ports.some((port) => given.has(port))) continue
    for (const port of ports) given.add(port)
    const free = await Promise.all(ports.map(isFree))
    if (free.every(Boolean)) return first
  }
}

/** Whether nobody listens on a port. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer().once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
