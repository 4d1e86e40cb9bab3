import { failure, success, type Result } from '../../protocol/index.ts'
import type { Identity } from '../connection.ts'
import { identify } from '../identity.ts'
import type { AppTopics } from './app-topics.ts'
import type { Verdict } from './door.ts'
import { grantByClaims, grantEverybody, grantGuest, type Grant } from './grant.ts'

/** Who somebody is that was let in, and what it may do. */
export interface Admission {
  readonly identity: Identity
  readonly grant: Grant
  /** To whom its client id and its session belong; undefined where nobody's word is worth anything. */
  readonly owner: string | undefined
  /** When it has to prove itself again, in milliseconds since the epoch. */
  readonly expiresAt: number | undefined
}

/** What the operator has settled. */
export interface AdmissionPolicy {
  readonly bridgeUser: string | undefined
  readonly defaultRooms: readonly string[]
  readonly appTopics: AppTopics
}

/** What follows from a verdict for one client. */
export function admit(
  verdict: Exclude<Verdict, { kind: 'refused' }>,
  connect: {
    readonly clientId: string
    readonly isAssigned: boolean
    readonly username: string | undefined
  },
  policy: AdmissionPolicy,
): Result<Admission> {
  const { clientId } = connect
  if (verdict.kind === 'anonymous') {
    const identity = identify(connect, policy.bridgeUser)
    if (!identity.ok) return failure(identity.error)
    const { user, isBridge } = identity.value
    const grant = grantEverybody(user, clientId, isBridge, policy.appTopics)
    return success({ identity: identity.value, grant, owner: undefined, expiresAt: undefined })
  }
  const claims = verdict.kind === 'known' ? verdict.claims : undefined
  // The user name of CONNECT proves nothing: who it is has been found out otherwise.
  const identity = identify({ ...connect, username: claims?.user }, undefined)
  if (!identity.ok) return failure(identity.error)
  if (!claims) {
    return success({
      identity: { ...identity.value, present: false },
      grant: grantGuest(clientId, policy),
      owner: 'guest',
      expiresAt: undefined,
    })
  }
  const isBridge = claims.admin ?? false
  return success({
    identity: { ...identity.value, present: claims.presence ?? !isBridge, isBridge },
    grant: grantByClaims(claims, clientId, policy),
    owner: `user ${claims.user}`,
    expiresAt: claims.expiresAt,
  })
}
