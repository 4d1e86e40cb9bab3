import type { MqttConnection } from './mqtt-connection.ts'

/** The filters of one connection after another, each subscribed once however many want it. */
export interface Subscriptions {
  /** Subscribes; `onGranted` is called for every connection that grants it. */
  add(filter: string, onGranted?: () => void): void
  remove(filter: string): void
  /** Subscribes again, so that what is retained comes again. */
  refresh(filter: string): void
  /** A new connection knows of nothing. */
  connected(connection: MqttConnection): void
  lost(): void
}

interface Entry {
  count: number
  readonly onGranted: Set<() => void>
}

/** Creates an empty set of subscriptions. */
export function createSubscriptions(): Subscriptions {
  const entries = new Map<string, Entry>()
  let connection: MqttConnection | null = null

  async function subscribe(filter: string): Promise<void> {
    const current = connection
    if (!current) return
    const granted = await current.subscribe(filter)
    if (!granted || current !== connection) return
    for (const tell of entries.get(filter)?.onGranted ?? []) tell()
  }

  return {
    add(filter, onGranted) {
      const entry = entries.get(filter) ?? { count: 0, onGranted: new Set() }
      entries.set(filter, entry)
      entry.count++
      if (onGranted) entry.onGranted.add(onGranted)
      // Also when it is subscribed already: who comes later wants what is retained, too.
      void subscribe(filter)
    },
    remove(filter) {
      const entry = entries.get(filter)
      if (!entry || --entry.count > 0) return
      entries.delete(filter)
      connection?.unsubscribe(filter)
    },
    refresh: (filter) => void subscribe(filter),
    connected(next) {
      connection = next
      for (const filter of entries.keys()) void subscribe(filter)
    },
    lost() {
      connection = null
    },
  }
}
