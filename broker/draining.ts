import type { Clock } from '../runtime/clock.ts'
import type { AedesClient } from './aedes-internals.ts'
import type { Registry } from './registry.ts'
import { dismiss } from './sessions/farewell.ts'

/** How long a drain waits for the last connection, in milliseconds. */
const DRAIN_MS = 3000

/** How often it looks whether they are gone, in milliseconds. */
const LOOK_MS = 10

/** Version 5 reason code: server shutting down. */
const SHUTTING_DOWN = 0x8b

/** Ends all connections; resolves when they are gone and their ends are said, or after a bound of 3 s. */
export async function endConnections(registry: Registry, clock: Clock): Promise<void> {
  const until = clock.now() + DRAIN_MS
  // Bridges, and readers who are not present, go last: until then there is somebody to hear the wills.
  const isPresent = (client: AedesClient): boolean =>
    registry.get(client)?.identity?.present === true
  await endAll(isPresent)
  await endAll(() => true)

  async function endAll(which: (client: AedesClient) => boolean): Promise<void> {
    for (const client of registry.clients()) if (which(client)) dismiss(client, SHUTTING_DOWN)
    for (let gone = false; !gone && clock.now() < until;) {
      gone = !registry.clients().some(which)
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
  }
}
