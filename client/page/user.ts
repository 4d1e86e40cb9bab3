import type { UserDocument } from '../../protocol/index.ts'
import { createEmitter, type Emitter, type Listen } from './emitter.ts'

/** What a user tells. */
export interface UserEvents {
  change: User
}

/** A user that this page looks at. */
export interface User {
  readonly name: string
  /** What is published of it; null when nothing is known of such a user. */
  readonly document: UserDocument | null
  /** `offline` also for who is unknown. */
  readonly status: UserDocument['status']
  /** Listens; the result stops it. */
  readonly on: Listen<UserEvents>
  /** Stops looking. */
  close(): void
}

/** A user, and what the library does with it. */
export interface OwnUser extends User {
  apply(document: UserDocument | null): void
}

/** Creates a user of which nothing is known. */
export function createUser(name: string, close: () => void): OwnUser {
  const events: Emitter<UserEvents> = createEmitter()
  let document: UserDocument | null = null
  const user: OwnUser = {
    name,
    get document() {
      return document
    },
    get status() {
      return document?.status ?? 'offline'
    },
    on: events.on,
    close,
    apply(next) {
      document = next
      events.emit('change', user)
    },
  }
  return user
}
