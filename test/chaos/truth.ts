import { BOUNDS, dueWith, earliestOf, latestOf } from './bounds.ts'
import type { History, Life, Outage, Said } from './history.ts'

/** A time from one moment to another. */
export interface Span {
  readonly from: number
  readonly until: number
}

/** The data of who has said nothing yet. */
export const NOTHING_SAID = 0

/** A value that one connection gave to a user, or to a member of a room. */
export interface Claim {
  /** The number of the document. */
  readonly value: number
  readonly life: Life
  /** Its place among the documents of its connection. */
  readonly place: number
  readonly at: number
  readonly ackedAt: number | null
  /** Outside of this nobody may be shown it. */
  readonly possible: Span
  /** In this time it is the newest of its connection, for certain; what is older than it must not be shown. */
  readonly newest: Span
  /** In this time it holds its user there, for certain, whatever is broken. */
  readonly here: Span
}

/** What has to be shown, and what may be shown, of a user or of a user in a room. */
export interface Truth {
  readonly claims: readonly Claim[]
  /** Times in which being absent is a falsehood. */
  readonly present: readonly Present[]
}

/** A time in which somebody was there without a break. */
interface Present extends Span {
  /** From here on it must have been shown; from `from` on, if it was shown already. */
  readonly shownBy: number
}

export const userKey = (user: string): string => user
export const memberKey = (room: string, user: string): string => `${room} ${user}`

/** What should be shown, by `userKey` and `memberKey`. Pure: only what was done counts. */
export function findTruth(history: History): ReadonlyMap<string, Truth> {
  const outages = history.outages.toSorted((a, b) => a.from - b.from)
  const claims = new Map<string, Claim[]>()
  const byClient = new Map<string, Life[]>()
  for (const life of history.lives.map((each) => withoutLost(each, outages))) {
    const id = `${life.user} ${life.client}`
    byClient.set(id, [...(byClient.get(id) ?? []), life])
  }
  for (const lives of byClient.values()) {
    for (const life of lives) {
      claimAll(claims, life.user, createClaims(life, lives, { ...history, outages }))
    }
  }
  return new Map(
    Array.from(claims, ([key, list]) => [key, { claims: list, present: join(list, outages) }]),
  )
}

interface Made {
  readonly said: Said
  readonly claim: Claim
  readonly memberUntil: (room: string) => number
}

function claimAll(claims: Map<string, Claim[]>, user: string, made: readonly Made[]): void {
  const add = (key: string, claim: Claim): void => {
    const list = claims.get(key)
    if (list) list.push(claim)
    else claims.set(key, [claim])
  }
  for (const { said, claim, memberUntil } of made) {
    add(userKey(user), claim)
    for (const room of said.rooms) {
      const here = { from: claim.here.from, until: memberUntil(room) }
      add(memberKey(room, user), { ...claim, here })
    }
  }
}

function createClaims(life: Life, client: readonly Life[], history: History): Made[] {
  const { outages, isVolatile } = history
  const newer = client.filter(({ askedAt }) => askedAt > life.askedAt)
  const goodbyes = [life, ...newer].flatMap(({ end }) =>
    end && (end.how === 'left' || end.how === 'unsure') ? [end] : [],
  )
  const spoken = newer.flatMap(({ said }) => said)
  const lastsUntil = Math.min(
    endsNoEarlier(life, history),
    ...goodbyes.map(({ from }) => from),
    // What a client has left behind is held no longer than its newer connection, …
    ...newer.map((each) => endsNoEarlier(each, history)),
    // … which ends it when it names its rooms; and for that moment both count.
    ...spoken.map(({ at, ackedAt }) => (ackedAt === null ? at : ackedAt + 2 * BOUNDS.overlap.ms)),
  )
  const goneBy = Math.min(
    life.end
      ? dueWith(outages, life.end.from, latestOf(life.end, isVolatile))
      : Number.POSITIVE_INFINITY,
    // Its client has said goodbye, or has told its rooms over another connection.
    ...goodbyes
      .filter(({ how }) => how === 'left')
      .map((end) => dueWith(outages, end.from, latestOf(end, isVolatile))),
    ...spoken.map((said) => knownBy(said, outages)),
  )
  const first: Said = { number: NOTHING_SAID, rooms: [], at: life.askedAt, ackedAt: life.upAt }
  return [first, ...life.said].map((said, place): Made => {
    const later = life.said.slice(place)
    const replacedAt = Math.min(...[...later, ...spoken].map(({ at }) => at))
    const replacedBy = Math.min(...later.map((each) => knownBy(each, outages)))
    const from = said.ackedAt ?? Number.POSITIVE_INFINITY
    return {
      said,
      claim: {
        value: said.number,
        life,
        place,
        at: said.at,
        ackedAt: said.ackedAt,
        possible: { from: said.at, until: Math.min(goneBy, replacedBy) },
        newest: { from: knownBy(said, outages), until: Math.min(lastsUntil, replacedAt) },
        here: { from, until: lastsUntil },
      },
      memberUntil: (room) =>
        Math.min(
          lastsUntil,
          ...[...later, ...spoken].filter(({ rooms }) => !rooms.includes(room)).map(({ at }) => at),
        ),
    }
  })
}

/**
 * The same without acknowledgements that may be void: while Redis is away, or no bridge is there again, a broker
 * has in its memory alone what it acknowledges, and takes it along when it is killed.
 */
function withoutLost(life: Life, outages: readonly Outage[]): Life {
  const isEnd = ({ part, harm, target }: Outage): boolean =>
    part === 'broker' && harm !== 'stop' && target === life.broker
  const isAway = ({ part, harm }: Outage): boolean =>
    part === 'redis' || (part === 'line' && harm === 'stall')
  const alone = outages.flatMap((outage) => {
    const ms = isEnd(outage) ? BOUNDS.relink.ms : isAway(outage) ? BOUNDS.written.ms : undefined
    return ms === undefined ? [] : [{ from: outage.from, to: outage.to + ms }]
  })
  const ends = outages.filter(isEnd)
  const isLost = (ackedAt: number | null): boolean =>
    ackedAt !== null &&
    alone.some(
      ({ from, to }) =>
        ackedAt >= from &&
        ackedAt <= to &&
        ends.some((end) => end.from >= ackedAt && end.from <= to),
    )
  const keep = (ackedAt: number | null): number | null => (isLost(ackedAt) ? null : ackedAt)
  return {
    ...life,
    upAt: keep(life.upAt),
    said: life.said.map((said) => ({ ...said, ackedAt: keep(said.ackedAt) })),
  }
}

/** When everybody has been shown a document. */
function knownBy({ ackedAt }: Said, outages: readonly Outage[]): number {
  if (ackedAt === null) return Number.POSITIVE_INFINITY
  return dueWith(outages, ackedAt, ackedAt + BOUNDS.shown.ms)
}

/** Until when a connection is shown at least. Presence that lives in a server dies with it. */
function endsNoEarlier({ askedAt, end }: Life, history: History): number {
  const { isVolatile } = history
  const deathAt = deaths(history).find((at) => at > askedAt) ?? Number.POSITIVE_INFINITY
  return Math.min(end ? earliestOf(end, isVolatile) : Number.POSITIVE_INFINITY, deathAt)
}

/** When everything that was known is lost; in their order. */
function deaths({ outages, isVolatile, isAlone }: History): readonly number[] {
  const killed = outages.filter(
    ({ part, harm }) => (part === 'server' || part === 'broker') && harm !== 'stop',
  )
  if (isVolatile) return killed.map(({ from }) => from)
  if (!isAlone) return []
  const emptied = outages.filter(({ harm }) => harm === 'empty')
  // What one of them has lost is made good from the other one when bridges have found it again.
  const isOverBy = ({ to }: Outage): number => to + BOUNDS.relink.ms + BOUNDS.written.ms
  return emptied
    .flatMap((redis) =>
      killed
        .filter((broker) => broker.from <= isOverBy(redis) && redis.from <= isOverBy(broker))
        .map((broker) => Math.min(broker.from, redis.from)),
    )
    .toSorted((a, b) => a - b)
}

/** Joins the times of several connections: who is back early enough has never been gone. */
function join(claims: readonly Claim[], outages: readonly Outage[]): readonly Present[] {
  const spans = claims
    .map(({ here }) => here)
    .filter(({ from, until }) => from < until)
    .toSorted((a, b) => a.from - b.from)
  const joined: { from: number; until: number }[] = []
  for (const { from, until } of spans) {
    const last = joined.at(-1)
    if (last && from + BOUNDS.overlap.ms <= last.until) last.until = Math.max(last.until, until)
    else joined.push({ from, until })
  }
  return joined.map(({ from, until }) => ({
    from,
    until,
    shownBy: dueWith(outages, from, from + BOUNDS.shown.ms),
  }))
}
