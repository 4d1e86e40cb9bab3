import type { Aedes } from 'aedes'
import type { AedesClient, AedesWill, WillKeeper } from '../aedes-internals.ts'

/** The wills that wait for their delay to be over. */
export interface DelayedWills {
  /** The session of a client id has ended before: its will is due [MQTT-3.1.2-8]. */
  publish(clientId: string): void
  /** The session of a client id goes on at another broker: its will is void [MQTT-3.1.3-9]. */
  forget(clientId: string): void
  /** All of them are another broker's to publish. */
  forgetAll(): void
}

/** Is told what becomes of them. */
export interface WillWatcher {
  /** A will is due after so long. */
  delayed(client: AedesClient, delayMs: number): void
  /** It was published, or is void. */
  settled(clientId: string): void
}

/** Watches the wills that Aedes keeps back; it forgets them when their client starts a new session. */
export function watchDelayedWills(aedes: Aedes, watcher: WillWatcher): DelayedWills {
  const keeper = aedes as Aedes & WillKeeper
  const waiting = new Map<string, { readonly client: AedesClient; readonly will: AedesWill }>()
  const scheduleWill = keeper.scheduleWill.bind(keeper)
  const clearDelayedWill = keeper.clearDelayedWill.bind(keeper)
  const publishWill = keeper.publishWill.bind(keeper)

  function settle(clientId: string): void {
    if (waiting.delete(clientId)) watcher.settled(clientId)
  }

  keeper.scheduleWill = (client, will, delaySeconds) => {
    scheduleWill(client, will, delaySeconds)
    if (!keeper.delayedWills.has(client.id)) return
    waiting.set(client.id, { client, will })
    watcher.delayed(client, 1000 * delaySeconds)
  }
  keeper.clearDelayedWill = (clientId) => {
    settle(clientId)
    clearDelayedWill(clientId)
  }
  keeper.publishWill = (client, will) => {
    if (waiting.get(client.id)?.will === will) settle(client.id)
    publishWill(client, will)
  }

  return {
    publish(clientId) {
      const due = waiting.get(clientId)
      if (!due) return
      keeper.clearDelayedWill(clientId)
      publishWill(due.client, due.will)
    },
    forget: (clientId) => keeper.clearDelayedWill(clientId),
    forgetAll() {
      for (const clientId of waiting.keys()) keeper.clearDelayedWill(clientId)
    },
  }
}
