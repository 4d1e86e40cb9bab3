import type { Publisher } from '../publisher.ts'
import type { SharedStore } from '../store/store.ts'

/** Shows which bridges are there: each has a retained topic of its own, which another one clears when it dies. */
export interface Attendance {
  /** This bridge is there; said again when somebody says otherwise. */
  sayHere(): Promise<unknown>
  /** This bridge goes. */
  sayGone(): Promise<unknown>
  /** Clears the topics of bridges that have died; to be called every now and then while the store answers. */
  look(): Promise<void>
}

/** Options of {@link createAttendance}. */
export interface AttendanceOptions {
  /** This bridge. */
  readonly id: string
  readonly shared: SharedStore
  readonly publisher: Publisher
}

/** Creates it; nothing is said yet. */
export function createAttendance({ id, shared, publisher }: AttendanceOptions): Attendance {
  /** Who was silent at the last look: after an outage of the store everybody is, for a moment. */
  let suspects: ReadonlySet<string> = new Set()

  return {
    sayHere: () => publisher.publishBridge(id, 'online'),
    sayGone: () => publisher.publishBridge(id, ''),
    async look() {
      const silent = await shared.silentBridges()
      const gone = silent.filter(({ store, bridge }) => suspects.has(store) && bridge !== id)
      suspects = new Set(silent.map(({ store }) => store))
      for (const { store, bridge } of gone) {
        if (await publisher.publishBridge(bridge, '')) await shared.forgetBridge(store)
      }
    },
  }
}
