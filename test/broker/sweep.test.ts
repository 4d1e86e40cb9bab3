import { expect } from 'chai'
import type { Connection } from '../../broker/connection.ts'
import { judge, type Verdict } from '../../broker/liveness/sweep.ts'

const policy = { timeoutMs: 20_000, toleranceMs: 60_000 }

interface Row {
  readonly title: string
  readonly transport: 'tcp' | 'websocket'
  readonly keepaliveMs: number
  /** How long ago each was, in milliseconds. */
  readonly heard: number
  readonly pong?: number
  readonly ping?: number
  readonly tolerance?: number
  readonly verdict: Verdict
}

const K = 10_000

const rows: readonly Row[] = [
  {
    title: 'at 1.5 K a client is not late yet',
    transport: 'tcp',
    keepaliveMs: K,
    heard: 15_000,
    verdict: 'alive',
  },
  {
    title: 'after 1.5 K it is dead',
    transport: 'tcp',
    keepaliveMs: K,
    heard: 15_001,
    verdict: 'dead',
  },
  {
    title: 'over TCP there is no tolerance',
    transport: 'tcp',
    keepaliveMs: K,
    heard: 15_001,
    tolerance: 60_000,
    verdict: 'dead',
  },
  {
    title: 'without a keepalive TCP is left to the kernel',
    transport: 'tcp',
    keepaliveMs: 0,
    heard: 3_600_000,
    verdict: 'alive',
  },
  {
    title: 'an overdue WebSocket is asked before it is late',
    transport: 'websocket',
    keepaliveMs: K,
    heard: K,
    ping: K,
    verdict: 'ping',
  },
  {
    title: 'a late WebSocket that answered is kept',
    transport: 'websocket',
    keepaliveMs: K,
    heard: 16_000,
    pong: 1000,
    ping: 1000,
    verdict: 'alive',
  },
  {
    title: 'a late WebSocket that did not answer is dead at once',
    transport: 'websocket',
    keepaliveMs: K,
    heard: 15_001,
    pong: 15_001,
    ping: 1000,
    verdict: 'dead',
  },
  {
    title: 'a late WebSocket is kept as long as the tolerance',
    transport: 'websocket',
    keepaliveMs: K,
    heard: 75_000,
    pong: 100,
    ping: 100,
    verdict: 'alive',
  },
  {
    title: 'and no longer, whatever it answers',
    transport: 'websocket',
    keepaliveMs: K,
    heard: 75_001,
    pong: 100,
    ping: 100,
    verdict: 'dead',
  },
  {
    title: 'a client can do without the tolerance',
    transport: 'websocket',
    keepaliveMs: K,
    heard: 15_001,
    pong: 100,
    ping: 100,
    tolerance: 0,
    verdict: 'dead',
  },
  {
    title: 'and has no more of it than the operator gives',
    transport: 'websocket',
    keepaliveMs: K,
    heard: 75_001,
    pong: 100,
    ping: 100,
    tolerance: 3_600_000,
    verdict: 'dead',
  },
  {
    title: 'an idle WebSocket without a keepalive is asked in time',
    transport: 'websocket',
    keepaliveMs: 0,
    heard: 9900,
    pong: 9900,
    ping: 9900,
    verdict: 'ping',
  },
  {
    title: 'but not again before it has had time to answer',
    transport: 'websocket',
    keepaliveMs: 0,
    heard: 12_000,
    pong: 12_000,
    ping: 2000,
    verdict: 'alive',
  },
  {
    title: 'out of reach for 20 s, looked at in time, it is dead',
    transport: 'websocket',
    keepaliveMs: 0,
    heard: 19_700,
    pong: 19_700,
    ping: 9000,
    verdict: 'dead',
  },
  {
    title: 'a pong proves that it can be reached',
    transport: 'websocket',
    keepaliveMs: 3_600_000,
    heard: 100_000,
    pong: 500,
    ping: 600,
    verdict: 'alive',
  },
]

describe('the liveness sweep', () => {
  for (const { title, verdict, ...row } of rows) {
    it(title, () => expect(judge(connection(row), 10_000_000, policy)).to.equal(verdict))
  }
})

function connection({
  transport,
  keepaliveMs,
  heard,
  pong,
  ping,
  tolerance,
}: Omit<Row, 'title' | 'verdict'>): Connection {
  const now = 10_000_000
  const judged: Omit<Connection, 'client'> = {
    id: 'c1',
    info: { transport, remoteAddress: undefined },
    keepaliveMs,
    heardAt: now - heard,
    transportHeardAt: now - (pong ?? heard),
    pingedAt: now - (ping ?? heard),
    claim: undefined,
    identity: undefined,
    grant: undefined,
    unloadKey: undefined,
    cause: undefined,
    document: { status: 'online', ...(tolerance !== undefined && { tolerance }) },
    state: 'announced',
  }
  // The judge never looks at the client.
  return judged as Connection
}
