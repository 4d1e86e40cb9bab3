import type { Aedes } from 'aedes'
import type { AedesClient, AedesWill, WillKeeper } from '../aedes-internals.ts'

/** The wills that wait for their delay to be over. */
export interface DelayedWills {
  /** The session of a client id has ended before: its will is due [MQTT-3.1.2-8]. */
  publish(clientId: string): void
  /** The session of a client id goes on at another broker: its will is void [MQTT-3.1.3-9]. */
  forget(clientId: string): void
}

/** Watches the wills that Aedes keeps back; it forgets them when their client starts a new session. */
export function watchDelayedWills(aedes: Aedes): DelayedWills {
  const keeper = aedes as Aedes & WillKeeper
  const waiting = new Map<string, { readonly client: AedesClient; readonly will: AedesWill }>()
  const scheduleWill = keeper.scheduleWill.bind(keeper)
  const clearDelayedWill = keeper.clearDelayedWill.bind(keeper)
  const publishWill = keeper.publishWill.bind(keeper)

  keeper.scheduleWill = (client, will, delaySeconds) => {
    scheduleWill(client, will, delaySeconds)
    if (keeper.delayedWills.has(client.id)) waiting.set(client.id, { client, will })
  }
  keeper.clearDelayedWill = (clientId) => {
    waiting.delete(clientId)
    clearDelayedWill(clientId)
  }
  keeper.publishWill = (client, will) => {
    if (waiting.get(client.id)?.will === will) waiting.delete(client.id)
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
  }
}
