import { createAppAccess, type AppAccess, type AppTopics } from './app-topics.ts'
import type { Claims } from './claims.ts'
import { createMatcher, type Matcher } from './matcher.ts'

/** What one connection may do. */
export interface Grant {
  readonly user: string
  readonly client: string
  /** Everything: a bridge, a service. */
  readonly isAdmin: boolean
  /** Whether it reads all of presence, as everybody does on a broker that asks nobody who he is. */
  readonly readsAll: boolean
  readonly mayJoin: Matcher
  readonly mayWatch: Matcher
  readonly maySee: Matcher
  /** Whether there is any room at all that it may watch. */
  readonly watchesAny: boolean
  readonly app: AppAccess
}

/** What the operator settles for everybody. */
export interface GrantPolicy {
  /** The rooms of whoever comes without the claim `rooms`. */
  readonly defaultRooms: readonly string[]
  readonly appTopics: AppTopics
}

/** What follows from somebody's claims. */
export function grantByClaims(claims: Claims, client: string, policy: GrantPolicy): Grant {
  const { user, admin = false } = claims
  const rooms = claims.rooms ?? policy.defaultRooms
  const watch = claims.watch ?? rooms
  // Claims that say which rooms mean these rooms, and not everybody's whereabouts beside them.
  const saysNothing = claims.rooms === undefined && claims.watch === undefined
  const users = claims.users ?? (saysNothing ? ['*'] : [])
  return {
    user,
    client,
    isAdmin: admin,
    readsAll: admin,
    mayJoin: createMatcher(rooms),
    mayWatch: createMatcher(watch),
    maySee: createMatcher([user, ...users]),
    watchesAny: watch.length > 0,
    app: createAppAccess(admin ? 'allow' : policy.appTopics, user, client),
  }
}

/** On a broker that asks nobody who he is. */
export function grantEverybody(
  user: string,
  client: string,
  isBridge: boolean,
  appTopics: AppTopics,
): Grant {
  const all: Matcher = () => true
  return {
    user,
    client,
    isAdmin: isBridge,
    readsAll: true,
    mayJoin: all,
    mayWatch: all,
    maySee: all,
    watchesAny: true,
    app: createAppAccess(isBridge ? 'allow' : appTopics, user, client),
  }
}

/** Somebody without credentials where others have them: reads what the operator's default lets watch. */
export function grantGuest(client: string, policy: GrantPolicy): Grant {
  // A guest is nobody: a user of the name of its client id is somebody else.
  const claims = { user: '', rooms: [], watch: policy.defaultRooms, users: [] }
  return { ...grantByClaims(claims, client, policy), maySee: () => false }
}
