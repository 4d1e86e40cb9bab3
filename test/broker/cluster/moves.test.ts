import { expect } from 'chai'
import { createClientClaims, type ClientClaims } from '../../../broker/cluster/client-claims.ts'
import type { Word } from '../../../broker/cluster/entries.ts'
import { createClusterKeys } from '../../../broker/cluster/keys.ts'
import { createMoves, type Moves } from '../../../broker/cluster/moves.ts'
import type { SharedSessions } from '../../../broker/cluster/shared-sessions.ts'
import type { RedisConnection } from '../../../runtime/redis/connection.ts'
import { ManualClock, settle } from '../../helpers/manual-clock.ts'

const keys = createClusterKeys('test')
const NEVER = new Promise<never>(() => {})

/** The broker `one`; Redis' answer to a claim comes after some time, and so does that of sessions. */
interface Scene {
  readonly clock: ManualClock
  readonly moves: Moves
  readonly clients: ClientClaims
  readonly said: Word[]
  /** What was done with sessions. */
  readonly done: string[]
  /** Who had the client id before, as Redis says. */
  previous: string
}

interface Answers {
  /** When Redis answers a claim, in milliseconds. */
  readonly claimMs?: number
  readonly handOver?: () => Promise<number>
  /** Resolves when the session is there. */
  readonly fetch?: () => Promise<void>
}

function setScene({ claimMs = 0, handOver, fetch }: Answers): Scene {
  const clock = new ManualClock()
  const said: Word[] = []
  const done: string[] = []
  const after = (ms: number): Promise<void> =>
    new Promise((resolve) => void clock.after(ms, resolve))
  const clients = createClientClaims({
    broker: 'one',
    keys,
    now: () => clock.now(),
    isUp: () => true,
    onUntold: () => {},
    claimUntil: () => clock.now() + 900,
    async claim() {
      await after(claimMs)
      return ['granted', clock.now() * 1000, scene.previous, 0, 1]
    },
    reclaim: () => NEVER,
    release: () => NEVER,
  })
  const note =
    (what: string) =>
    (clientId: string): Promise<void> => {
      done.push(`${what} ${clientId}`)
      return Promise.resolve()
    }
  const sessions: SharedSessions = {
    fetch: (_clientId, _handover, isWanted) =>
      (fetch?.() ?? Promise.resolve()).then(() => void done.push(`fetched ${isWanted()}`)),
    handOver: handOver ?? (() => Promise.resolve(7)),
    end: note('end'),
    replace: note('replace'),
    drop: (clientId) => void done.push(`drop ${clientId}`),
    adopt: () => NEVER,
    rewrite() {},
    flush: () => Promise.resolve(),
    close() {},
  } as Partial<SharedSessions> as SharedSessions
  const moves = createMoves({
    broker: 'one',
    redis: { send: () => Promise.resolve('3') } as Partial<RedisConnection> as RedisConnection,
    keys,
    clock,
    clients,
    sessions,
    position: () => 5,
    redisTime: () => clock.now(),
    say: (word) => void said.push(word),
    endConnection: (_clientId, then) => then(),
    onMoved: (clientId) => void done.push(`moved ${clientId}`),
    onUnanswered: () => void done.push('unanswered'),
    onError: () => {},
  })
  const scene: Scene = { clock, moves, clients, said, done, previous: 'two' }
  return scene
}

describe('a client that connects', () => {
  const slow: readonly (readonly [string, Answers])[] = [
    ['to a claim', { claimMs: 60_000 }],
    ['to a claim for long, and to the rest not at all', { claimMs: 900, fetch: () => NEVER }],
    ['with its session', { fetch: () => NEVER }],
  ]
  for (const [what, answers] of slow) {
    it(`waits for 2 s at most when Redis does not answer ${what}`, async () => {
      const { clock, moves, clients, done } = setScene(answers)
      let number: number | undefined
      void moves
        .claim('phone', 'c1', 'alice', false, () => true)
        .then((claimed) => (number = claimed))
      await clock.advance(2000)
      expect(number).to.be.a('number')
      expect(done).to.deep.equal(['unanswered'])
      // Redis is told later, and what others have of it is settled then.
      expect([...clients.unsure(false)]).to.deep.equal(['phone'])
    })
  }

  it('has time for its session when its former broker does not answer', async () => {
    for (const claimMs of [0, 900]) {
      const { clock, moves, done } = setScene({ claimMs })
      const claimed = moves.claim('phone', 'c1', 'alice', false, () => true)
      await clock.advance(1800)
      expect(await claimed).to.be.a('number')
      expect(done).to.deep.equal(['fetched true'])
    }
  })

  it('and has gone leaves its session here, however late that comes', async () => {
    let arrive = (): void => {}
    const fetch = (): Promise<void> => new Promise((resolve) => (arrive = resolve))
    const { clock, moves, done } = setScene({ claimMs: 5000, fetch })
    const claimed = moves.claim('phone', 'c1', 'alice', false, () => false)
    await clock.advance(20_000)
    arrive()
    expect(await claimed).to.be.a('number')
    expect(done).to.deep.equal(['fetched true'])
  })

  it('gets the session that is on its way for one that was cut off just before', async () => {
    let arrive = (): void => {}
    const fetch = (): Promise<void> => new Promise((resolve) => (arrive = resolve))
    const scene = setScene({ fetch })
    const { clock, moves, done } = scene
    const first = moves.claim('phone', 'c1', 'alice', false, () => false)
    await clock.advance(1500)
    scene.previous = 'one'
    let isIn = false
    const second = moves.claim('phone', 'c2', 'alice', false, () => true)
    void second.then(() => (isIn = true))
    await clock.advance(100)
    expect(isIn).to.equal(false)
    arrive()
    await Promise.all([first, second])
    expect(done).to.deep.equal(['fetched true'])
  })

  it('does not get a session that comes too late', async () => {
    let arrive = (): void => {}
    const fetch = (): Promise<void> => new Promise((resolve) => (arrive = resolve))
    const { clock, moves, done } = setScene({ fetch })
    void moves.claim('phone', 'c1', 'alice', false, () => true)
    await clock.advance(2000)
    arrive()
    await settle()
    expect(done).to.deep.equal(['unanswered', 'fetched false'])
  })
})

describe('a client that has moved', () => {
  const TAKEOVER = { type: 'takeover', clientId: 'phone', holder: 'one', isClean: false } as const

  async function claimed(answers: Answers): Promise<Scene & { readonly claim: number }> {
    const scene = setScene(answers)
    const claiming = scene.moves.claim('phone', 'c1', 'alice', false, () => true)
    await scene.clock.advance(1500)
    const number = await claiming
    scene.said.length = 0
    scene.done.length = 0
    return { ...scene, claim: (number ?? 0) + 1 }
  }

  it('is let go of when its session could be written only at the third try', async () => {
    let tries = 0
    const handOver = (): Promise<number> =>
      ++tries < 3 ? Promise.reject(new Error('Socket closed')) : Promise.resolve(7)
    const { clock, moves, clients, said, done, claim } = await claimed({ handOver })
    moves.letGo({ ...TAKEOVER, claim })
    await clock.advance(250)
    expect(said).to.deep.equal([{ type: 'released', clientId: 'phone', position: 7 }])
    expect(done).to.deep.equal(['moved phone'])
    expect(clients.has('phone')).to.equal(false)
  })

  it('is let go of when its session could not be written: nobody waits for that any more', async () => {
    const handOver = (): Promise<number> => Promise.reject(new Error('Socket closed'))
    const { clock, moves, clients, said, done, claim } = await claimed({ handOver })
    moves.letGo({ ...TAKEOVER, claim })
    await clock.advance(1500)
    expect(said).to.deep.equal([])
    expect(done).to.deep.equal(['drop phone', 'moved phone'])
    expect(clients.has('phone')).to.equal(false)
    expect(clock.pending).to.equal(0)
  })

  it('is not let go of when it has come back meanwhile', async () => {
    const handOver = (): Promise<number> => Promise.reject(new Error('Socket closed'))
    const { clock, moves, clients, done, claim } = await claimed({ handOver })
    moves.letGo({ ...TAKEOVER, claim })
    clients.assume('phone', 'c2', 'alice', clock.now() + 1000)
    await clock.advance(1500)
    expect(done).to.deep.equal([])
    expect(clients.has('phone')).to.equal(true)
  })
})
