import type { ConnectionDocument } from '../../protocol/index.ts'
import type { Identity } from '../connection.ts'
import { judgePublication, type Permission } from '../presence/permissions.ts'
import type { Grant } from './grant.ts'
import { isBelow } from './read-rules.ts'

/**
 * The topic on which a client hands in a new token while it is connected, instead of connecting anew. The
 * payload is the token; nobody ever reads it.
 */
export const TOKEN_TOPIC = '$presence/token'

/** The topic on which an admin ends the connections of a client id, which is the payload; nobody ever reads it. */
export const KICK_TOPIC = '$presence/kick'

/** Judges a publication: presence by whose it is, the application's topics by what the operator allows. */
export function judgeTopic(
  root: string,
  topic: string,
  identity: Identity,
  grant: Grant,
): Permission {
  const permission = judgePublication(root, topic, identity)
  if (permission !== 'allowed' || isBelow(root, topic)) return permission
  return grant.app.mayUse(topic)
    ? 'allowed'
    : { refused: 'topics outside of presence are not for this client' }
}

/** One sentence about a room that a document names without being allowed to; undefined when all is well. */
export function refuseRooms({ rooms }: ConnectionDocument, grant: Grant): string | undefined {
  for (const room of rooms?.keys() ?? []) {
    if (!grant.mayJoin(room)) return `it may not join the room ${room}`
  }
  return undefined
}
