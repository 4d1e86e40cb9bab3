import { createMemoryStore, type Beat, type SharedStore, type Store } from '../../bridge/index.ts'
import { START, type Said, type World } from './world.ts'

/** A store that is shared, and that can be away. */
export interface Shared {
  readonly store: Store
  /** From now on nothing that is asked of it is answered. */
  leave(): void
  /** It answers again, also what was asked meanwhile. */
  comeBack(): void
  /** The connection to it is lost. */
  break(): void
  /** It has nothing any more. */
  empty(): void
  /** Another bridge has made it good. */
  makeGoodElsewhere(): void
  /** Brokers that were taken for lost. */
  readonly lost: Set<string>
  /** Called once when the store is asked for its data; then it lacks some. */
  onLack: (() => unknown) | undefined
}

/** Creates one, in memory. */
export function createShared(world: () => World | undefined): Shared {
  let back = Promise.resolve()
  let comeBack = (): void => {}
  let data = 'first'
  const lost = new Set<string>()
  const lostListeners: (() => void)[] = []
  const beat: Beat = { others: 0, paused: false, deafMs: 0, late: false }
  const shared: SharedStore = {
    beat: async () => {
      await back
      return beat
    },
    endPause: async () => {},
    onLost: (listener) => lostListeners.push(listener),
    async checkData() {
      const { onLack } = made
      made.onLack = undefined
      await onLack?.()
      if (!onLack) return { state: 'whole', data }
      data += '+'
      return { state: 'lacking' }
    },
    dataRestored: async () => ({ state: 'whole', data }),
    renewClaim: async () => {},
    leaveData: async () => {},
    silentBridges: async () => [],
    forgetBridge: async () => {},
    takeAbandoned: async () => ({ users: [], rooms: [] }),
    brokers: async () => [],
    markLost: async (broker) => void lost.add(broker),
    takeLost: async (broker) => lost.delete(broker),
  }
  const create = (): Store => createMemoryStore({ now: () => world()?.clock.now() ?? START })
  let inner = create()
  const store = new Proxy(inner, {
    get(_, name: keyof Store) {
      if (name === 'shared') return shared
      const method = inner[name]
      return typeof method === 'function' ? method.bind(inner) : method
    },
  })
  const made: Shared = {
    store,
    leave() {
      back = new Promise((resolve) => (comeBack = resolve))
    },
    comeBack: () => comeBack(),
    empty: () => void (inner = create()),
    makeGoodElsewhere: () => void (data += '+'),
    break() {
      for (const listener of lostListeners) listener()
    },
    lost,
    onLack: undefined,
  }
  return made
}

/** Answers the newest roll call for a broker, with the connections that it has. */
export async function answer(
  world: World,
  broker: string,
  connections: Readonly<Record<string, Said>> = {},
): Promise<void> {
  const call = world.link.record.findLast(({ topic }) => topic === 'presence/rollcall')
  const { rollcall } = JSON.parse(call?.payload ?? '{}') as { rollcall?: string }
  const at = world.clock.now()
  // As JSON has it.
  const repeated: object = { stamp: at, lastSeen: new Date(at).toISOString() }
  for (const [name, said] of Object.entries(connections)) {
    await world.say(name, { status: 'online', broker, ...said, ...repeated })
  }
  await world.beat(broker, { rollcall })
}
