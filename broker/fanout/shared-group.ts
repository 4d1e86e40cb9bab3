import type { ReaderSubscription } from './adopt-client.ts'
import { canReceive } from './can-receive.ts'
import type { EmittedPacket } from '../aedes-internals.ts'
import type { Deliver } from './readers.ts'

/** Whether a message for a shared subscription is for a member of this broker. */
export type Serves = (name: string, packet: EmittedPacket) => boolean

/** Those who share a subscription: each message goes to one of them (4.8.2). */
export class SharedGroup {
  readonly #name: string
  /** In the order of their turns. */
  readonly #members = new Set<ReaderSubscription>()

  constructor(name: string) {
    this.#name = name
  }

  get isEmpty(): boolean {
    return this.#members.size === 0
  }

  add(member: ReaderSubscription): void {
    this.#members.add(member)
  }

  remove(member: ReaderSubscription): void {
    this.#members.delete(member)
  }

  /** Delivers to the member whose turn it is: rather one that is ready for more than one that is not. */
  deliver(deliver: Deliver, packet: EmittedPacket, serves: Serves): void {
    if (!serves(this.#name, packet)) return
    let chosen: ReaderSubscription | undefined
    for (const member of this.#members) {
      if (!canReceive(member.reader.client)) continue
      chosen ??= member
      if (!member.reader.outbox.isOpen) continue
      chosen = member
      break
    }
    if (!chosen) return
    this.#members.delete(chosen)
    this.#members.add(chosen)
    deliver(chosen.reader, chosen.grant, this.#name)
  }
}
