import type { ConnectionDocument, Topics } from '../../protocol/index.ts'
import type { Connection } from '../connection.ts'
import type { Limits } from './limits.ts'

/** Where it is looked up what rooms there are: what bridges have published of them. */
export interface RetainedRooms {
  /** Rooms, those that were left lately included. */
  readonly roomCount: number
  /** The payload that is retained on a topic. */
  retainedPayload(topic: string): string | Buffer | undefined
}

/** One sentence about a room that is one too many, or full; undefined when all is well. */
export function refuseMoreRooms(
  { document, identity }: Connection,
  { rooms }: ConnectionDocument,
  { maxRoomsInAll, maxMembers }: Limits,
  topics: Topics,
  retained: RetainedRooms,
): string | undefined {
  for (const room of rooms?.keys() ?? []) {
    if (document.rooms?.has(room)) continue
    const size = retained.retainedPayload(topics.roomCount(room))
    if (size === undefined) {
      if (retained.roomCount >= maxRoomsInAll) return `there are ${maxRoomsInAll} rooms already`
      continue
    }
    if (Number(size.toString()) < maxMembers) continue
    const isIn = retained.retainedPayload(topics.member(room, identity?.user ?? '')) !== undefined
    if (!isIn) return `the room ${room} has ${maxMembers} members already`
  }
  return undefined
}
