import type { Cancel, Clock } from '../../runtime/clock.ts'
import type { ConnectionDocument } from '../../protocol/index.ts'
import type { ConnectionState, DocumentInput, Input } from '../core/index.ts'

/**
 * Lets arrivals go before ends when a bridge has not heard everything, or could not apply what it heard:
 * somebody who has come unheard is not offline because another connection of theirs ends.
 */
export interface LateEnds {
  /**
   * From here on ends wait: since then something was not heard, or could not be applied.
   *
   * @param since milliseconds since the epoch
   */
  hold(since: number): void
  /** The roll is called: they wait until it is answered, and until other bridges have told what waited there. */
  called(): void
  /**
   * Whether the input is an end that has to wait: of a connection, or of its stay in a room.
   *
   * @param connections those that its user has
   */
  holds(input: Input, connections?: readonly ConnectionState[]): boolean
  /** Whether ends wait; neither do deadlines count then. */
  readonly held: boolean
  /** Deadlines after this time do not count yet, in milliseconds since the epoch. */
  readonly countUntil: number
  /** Resolves when they do no longer. */
  released(): Promise<void>
  close(): void
}

/** Options of {@link createLateEnds}. */
export interface LateEndsOptions {
  readonly clock: Clock
  /** Whether brokers of ours have yet to answer the roll call. */
  readonly isAsking: () => boolean
  readonly onRelease: () => void
}

/** How long other bridges may need for the arrivals that have waited there, in milliseconds. */
const OTHERS_MS = 500

/** How long at most ends wait for an answer, in milliseconds. */
const MAX_MS = 3000

/** How often one looks, in milliseconds. */
const LOOK_MS = 50

/** Creates it; nothing waits. */
export function createLateEnds({ clock, isAsking, onRelease }: LateEndsOptions): LateEnds {
  let held = false
  let heldSince = 0
  let cancel: Cancel = () => {}
  let waiters: (() => void)[] = []

  function release(): void {
    held = false
    onRelease()
    const woken = waiters
    waiters = []
    for (const wake of woken) wake()
  }

  return {
    hold(since) {
      cancel()
      heldSince = held ? Math.min(heldSince, since) : since
      held = true
    },
    called() {
      if (!held) return
      cancel()
      const since = clock.now()
      const look = (): void => {
        const ms = clock.now() - since
        if (ms >= MAX_MS || (ms >= OTHERS_MS && !isAsking())) release()
        else cancel = clock.after(LOOK_MS, look)
      }
      look()
    },
    // Without a stamp nothing tells late news from new ones: those stay in the order in which they came.
    holds: (input, connections = []) =>
      held &&
      input.type === 'document' &&
      input.document.stamp !== undefined &&
      (input.document.status === 'offline' || stayInRooms(input, connections) !== input.document),
    get held() {
      return held
    },
    get countUntil() {
      return held ? heldSince : Infinity
    },
    released: () =>
      held
        ? new Promise((resolve) => {
            waiters.push(resolve)
          })
        : Promise.resolve(),
    close: () => cancel(),
  }
}

/** The document without leaving a room: one that its client is in and that it does not name is named, too. */
export function stayInRooms(
  { client, document }: Omit<DocumentInput, 'type'>,
  connections: readonly ConnectionState[],
): ConnectionDocument {
  const { rooms } = document
  if (!rooms || document.stamp === undefined) return document
  const own = connections.filter((connection) => connection.client === client)
  const left = own.flatMap((connection) => connection.rooms.filter(({ room }) => !rooms.has(room)))
  if (left.length === 0) return document
  return {
    ...document,
    rooms: new Map([...rooms, ...left.map(({ room, data }) => [room, data] as const)]),
  }
}
