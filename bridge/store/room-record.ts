import type { Leave, Member } from '../../protocol/index.ts'
import { listChanges, type RoomChange } from '../core/index.ts'
import type { RoomFlush } from './store.ts'

/** A room in memory: who is in it, and what readers have not been told yet. */
export class RoomRecord {
  readonly room: string
  readonly #members = new Map<string, Member>()
  #changes = new Map<string, RoomChange>()
  #version = 0
  /** Whether readers have to be told the whole room again, changed or not. */
  #unsure = false
  /** Who left, by the version of the flush that says so, until that was published. */
  readonly #unconfirmed = new Map<number, readonly string[]>()
  /** Whose topics may still be there although they are not in the room. */
  #strays = new Set<string>()
  emptySince: number | null = null

  constructor(room: string) {
    this.room = room
  }

  get size(): number {
    return this.#members.size
  }

  get version(): number {
    return this.#version
  }

  get members(): readonly Member[] {
    return [...this.#members.values()]
  }

  /** Whether there is anything that readers have not been told. */
  get changed(): boolean {
    return this.#unsure || this.#changes.size > 0
  }

  /** Notes a user's membership as it is now. */
  set(user: string, member: Member | null, leave: Leave | null): void {
    const noted = this.#changes.get(user)
    const before = noted ? noted.before : (this.#members.get(user) ?? null)
    this.#changes.set(user, { user, before, after: member, leave })
    if (member) this.#members.set(user, member)
    else this.#members.delete(user)
  }

  /** Takes over what readers were last shown. */
  restore(version: number, shown: readonly Member[]): void {
    this.#version = Math.max(this.#version, version)
    for (const member of shown) this.#members.set(member.user, member)
  }

  /** A version was published. */
  confirm(version: number): void {
    this.#unconfirmed.delete(version)
  }

  doubt(strays: readonly string[]): void {
    this.#unsure = true
    for (const user of [...strays, ...this.#unconfirmed.values()].flat()) this.#strays.add(user)
    this.#unconfirmed.clear()
  }

  flush(now: number, announceLimit: number): RoomFlush | undefined {
    const lists = listChanges(this.#changes.values())
    const whole = this.#unsure
    const strays = [...this.#strays].filter((user) => !this.#members.has(user))
    this.#changes = new Map()
    this.#unsure = false
    this.#strays = new Set()
    if (lists.joined.length + lists.updated.length + lists.left.length === 0 && !whole) {
      return undefined
    }
    const previous = this.#version
    this.#version = Math.max(previous + 1, now)
    const gone = [...lists.left.map(({ user }) => user), ...strays]
    if (gone.length > 0) this.#unconfirmed.set(this.#version, gone)
    const complete = this.size <= announceLimit
    return {
      room: this.room,
      version: this.#version,
      previous,
      size: this.size,
      complete,
      members: complete || whole ? this.members : null,
      whole,
      strays,
      ...lists,
    }
  }
}
