import { isIP } from 'node:net'
import type { Clock } from '../../runtime/clock.ts'
import type { Limits } from './limits.ts'
import { createRates } from './rate.ts'

/** Why a socket is not taken. */
type SocketRefusal = 'connections' | 'connections_per_address' | 'connects_per_second'

/** Counts sockets, before a byte of them is read. */
export interface Sockets {
  /** Counts a socket in, or says why not. */
  enter(address: string | undefined): SocketRefusal | undefined
  /** A socket that was counted in has closed. */
  leave(address: string | undefined): void
  /** How many were refused, by why. */
  readonly refused: Readonly<Record<SocketRefusal, number>>
}

/** Seconds of connects that may come at once, as after a restart. */
const BURST_SECONDS = 10

/** Creates the count. */
export function createSockets(limits: Limits, clock: Clock): Sockets {
  const { maxConnections, maxConnectionsPerAddress, maxConnectsPerSecond } = limits
  const byAddress = new Map<string, number>()
  const connects = createRates({
    perSecond: maxConnectsPerSecond,
    burstSeconds: BURST_SECONDS,
    patienceSeconds: 0,
  })
  const refused = { connections: 0, connections_per_address: 0, connects_per_second: 0 }
  let count = 0

  function judge(group: string | undefined): SocketRefusal | undefined {
    if (count >= maxConnections) return 'connections'
    if (group === undefined) return undefined
    if ((byAddress.get(group) ?? 0) >= maxConnectionsPerAddress) return 'connections_per_address'
    return connects.take(group, clock.now()) === undefined ? 'connects_per_second' : undefined
  }

  return {
    enter(address) {
      const group = groupOf(address)
      const refusal = judge(group)
      if (refusal) {
        refused[refusal]++
        return refusal
      }
      count++
      if (group !== undefined) byAddress.set(group, (byAddress.get(group) ?? 0) + 1)
      return undefined
    },
    leave(address) {
      count--
      const group = groupOf(address)
      if (group === undefined) return
      const rest = (byAddress.get(group) ?? 1) - 1
      if (rest > 0) byAddress.set(group, rest)
      else byAddress.delete(group)
    },
    refused,
  }
}

/**
 * Who is counted together: an IPv4 address; a /64 of IPv6, which is the least that anybody is given. Undefined
 * for this machine, behind whose own address may be a proxy with everybody.
 */
export function groupOf(address: string | undefined): string | undefined {
  if (address === undefined) return 'unknown'
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '')
  if (isIP(plain) !== 6) return plain.startsWith('127.') ? undefined : plain
  if (plain === '::1') return undefined
  const [head = '', tail] = plain.split('::')
  const first = head === '' ? [] : head.split(':')
  const last = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - first.length - last.length
  const groups = [...first, ...Array<string>(Math.max(0, zeros)).fill('0'), ...last]
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}
