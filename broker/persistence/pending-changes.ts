import { settle, settleAfter } from './settled.ts'

/** Told of changes before they are made; undefined when nobody has to be waited for. It does not reject. */
export type Announce<T> = (
  id: string,
  changes: ReadonlyMap<string, T | undefined>,
) => Promise<void> | undefined

/** Changes that are carried out when somebody knows of them, in order. */
interface Pending<T> {
  /** How it will be. */
  readonly told: Map<string, T | undefined>
  last: Promise<void>
  count: number
}

/** What of several owners is to be changed when somebody else knows of it. */
export class PendingChanges<T> {
  readonly #byOwner = new Map<string, Pending<T>>()
  readonly #announce: Announce<T>

  constructor(announce: Announce<T>) {
    this.#announce = announce
  }

  /** What a name will be when all is carried out; `now` when that does not change. */
  willBe(id: string, name: string, now: T | undefined): T | undefined {
    const told = this.#byOwner.get(id)?.told
    return told?.has(name) ? told.get(name) : now
  }

  /** Announces changes and carries them out, at once where it can; not if the owner was forgotten meanwhile. */
  change(
    id: string,
    changes: ReadonlyMap<string, T | undefined>,
    carryOut: () => void,
  ): Promise<void> {
    const earlier = this.#byOwner.get(id)
    const known = changes.size > 0 ? this.#announce(id, changes) : undefined
    const last = known ?? earlier?.last
    if (!last) return settle(carryOut)
    const pending = earlier ?? { told: new Map<string, T | undefined>(), last, count: 0 }
    this.#byOwner.set(id, pending)
    pending.last = last
    pending.count++
    for (const [name, value] of changes) pending.told.set(name, value)
    return settleAfter(last, () => {
      if (this.#byOwner.get(id) !== pending) return
      if (--pending.count === 0) this.#byOwner.delete(id)
      carryOut()
    })
  }

  /** Carries out nothing more for an owner. */
  forget(id: string): void {
    this.#byOwner.delete(id)
  }
}
