import { setImmediate as afterReads } from 'node:timers/promises'
import type { Cancel, Clock } from '../../runtime/clock.ts'
import type { AedesClient } from '../aedes-internals.ts'
import { Entrance, type EntrancePolicy } from './entrance.ts'
import { REFUSAL_KINDS, type RefusalKind } from './refusal.ts'

/** What stands between the sockets and Aedes: nothing reaches Aedes that is not a valid packet. */
export interface Gate {
  /** Reads a new client's packets from now on, in the place of Aedes. */
  admit(client: AedesClient): void
  /** How many connections were closed, by what for. */
  readonly refused: Readonly<Record<RefusalKind, number>>
  close(): void
}

/** Options of {@link createGate}. */
export interface GateOptions extends Omit<EntrancePolicy, 'watch'> {
  readonly clock: Clock
  readonly onError: (error: unknown) => void
}

/** How often those are looked at who keep us waiting, in milliseconds. */
const SWEEP_MS = 500

/** Opens the gate. */
export function createGate(options: GateOptions): Gate {
  const { clock, onError, onRefused } = options
  const refused = Object.fromEntries(REFUSAL_KINDS.map((kind) => [kind, 0])) as Record<
    RefusalKind,
    number
  >
  const watched = new Set<Entrance>()
  let last = 0
  let cancel: Cancel | undefined
  let isClosed = false

  const policy: EntrancePolicy = {
    ...options,
    onRefused(client, refusal) {
      refused[refusal.kind]++
      onRefused(client, refusal)
    },
    watch(entrance) {
      watched.add(entrance)
      if (!cancel) schedule()
    },
  }

  function schedule(): void {
    if (isClosed) return
    last = clock.now()
    cancel = clock.after(SWEEP_MS, look)
  }

  function look(): void {
    sweep()
      .catch(onError)
      .finally(() => {
        cancel = undefined
        if (watched.size > 0) schedule()
      })
  }

  async function sweep(): Promise<void> {
    // What has arrived is read before anybody is called late; and what this process slept counts for nobody.
    await afterReads()
    const ms = Math.min(clock.now() - last, 2 * SWEEP_MS)
    for (const entrance of watched) if (!entrance.tick(ms)) watched.delete(entrance)
  }

  return {
    admit(client) {
      // It lives by what it is called by: the stream and the client.
      void new Entrance(client, policy)
    },
    refused,
    close() {
      isClosed = true
      cancel?.()
    },
  }
}
