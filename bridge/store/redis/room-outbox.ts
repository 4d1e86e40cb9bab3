/** What a user has become in a room. */
export interface RoomOperation {
  readonly room: string
  readonly user: string
  readonly revision: string
  /** When it was read from Redis, in Redis' time. */
  readonly issuedAt: string
  /** JSON, or empty. */
  readonly member: string
  readonly leave: string
  readonly activity: string
}

/** Brings to rooms what was stored with the users, without keeping anybody waiting. */
export interface RoomOutbox {
  push(operation: RoomOperation): void
  /** Resolves when the room, or every room, knows all that was pushed before. */
  settled(room?: string): Promise<void>
}

/** Options of {@link createRoomOutbox}. */
export interface RoomOutboxOptions {
  /** Tells a room; resolves to a number for each: negative when it has to be found again. */
  readonly apply: (room: string, operations: readonly RoomOperation[]) => Promise<readonly number[]>
  /** The rooms know these. */
  readonly confirm: (operations: readonly RoomOperation[]) => Promise<void>
}

/** Operations that one script is given at most: Redis does nothing else meanwhile. */
const BATCH = 100

/** Creates an outbox. While one batch of a room is on its way the next one gathers. */
export function createRoomOutbox({ apply, confirm }: RoomOutboxOptions): RoomOutbox {
  const waiting = new Map<string, RoomOperation[]>()
  const running = new Map<string, Promise<void>>()
  const told: RoomOperation[] = []
  let confirming: Promise<void> | undefined

  async function drain(room: string): Promise<void> {
    // What else this tick brings goes along.
    await Promise.resolve()
    for (let queue = waiting.get(room); queue; queue = waiting.get(room)) {
      const batch = queue.splice(0, BATCH)
      if (queue.length === 0) waiting.delete(room)
      const results = await apply(room, batch)
      // What failed for good, or came too late, stays in Redis and is found there.
      told.push(...batch.filter((_, i) => (results[i] ?? -1) >= 0))
      if (!confirming && told.length > 0) {
        confirming = confirmAll()
        confirming.catch(() => {})
      }
    }
    // In this very tick, or what is pushed next would wait for nobody.
    running.delete(room)
  }

  async function confirmAll(): Promise<void> {
    try {
      while (told.length > 0) await confirm(told.splice(0))
    } finally {
      confirming = undefined
    }
  }

  return {
    push(operation) {
      const { room } = operation
      const queue = waiting.get(room)
      if (queue) queue.push(operation)
      else waiting.set(room, [operation])
      if (running.has(room)) return
      const run = drain(room).catch(() => {
        waiting.delete(room)
        running.delete(room)
      })
      running.set(room, run)
    },
    async settled(room) {
      if (room !== undefined) await running.get(room)
      else await Promise.all(running.values())
    },
  }
}
