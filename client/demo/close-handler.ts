import type { ConnectionDocument } from '../../protocol/index.ts'

/** What a server would tell that takes every close for a leave, and every open for a join. */
export interface CloseHandler {
  /**
   * What it would make of this document of a connection, for one room.
   *
   * @param isMember whether the user is in the room as far as is known: somebody may have come before us
   */
  hear(
    user: string,
    client: string,
    document: ConnectionDocument,
    room: string,
    isMember: boolean,
  ): 'came' | 'went' | null
}

/** Creates one that has seen nobody. */
export function createCloseHandler(): CloseHandler {
  const present = new Set<string>()
  const gone = new Set<string>()
  return {
    hear(user, client, document, room, isMember) {
      const key = JSON.stringify([user, client, room])
      if (document.status === 'offline') {
        const wasHere = present.delete(key) || (isMember && !gone.has(key))
        gone.add(key)
        return wasHere ? 'went' : null
      }
      const wasGone = gone.delete(key)
      if (!document.rooms?.has(room) || present.has(key)) return null
      present.add(key)
      // A connection that says again what it is was there before anybody looked.
      const isRepeated = (document.seq ?? 0) > 0
      return isRepeated && isMember && !wasGone ? null : 'came'
    },
  }
}
