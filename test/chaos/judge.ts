import { BOUNDS, recoveryOf } from './bounds.ts'
import { explainEnds } from './explain.ts'
import type { History, Outage } from './history.ts'
import { NO_DATA, type Disorder, type Reading, type Shown, type Source } from './reading.ts'
import { findTruth, NOTHING_SAID, type Claim, type Span, type Truth } from './truth.ts'

/** What must never be, whatever is broken. */
type Invariant =
  | Disorder
  | 'a ghost'
  | 'a false offline'
  | 'not shown in time'
  | 'data that nobody gave'
  | 'data that is out of date'
  | 'dropped without a reason'
  | 'a gap without a fault'
  | 'not exact in the end'

/** One violation. */
export interface Violation {
  readonly invariant: Invariant
  /** A user, a room, or a room and a user. */
  readonly key: string
  readonly at: number
  readonly reader: string
  readonly detail: string
}

/** What was found, and how much was looked at. */
export interface Verdict {
  readonly violations: readonly Violation[]
  readonly checks: Readonly<Record<string, number>>
}

/** For how long after a fault of ours a reader may have to read a room again, in milliseconds. */
const GAP_MS = 15_000

/** Compares what readers were shown with what was done. Pure. */
export function judge(done: History, readings: readonly Reading[]): Verdict {
  const { history, dropped } = explainEnds(done)
  const truth = findTruth(history)
  const violations: Violation[] = dropped.map(({ life, at }) => ({
    invariant: 'dropped without a reason',
    key: life.user,
    at,
    reader: 'its client',
    detail: `${life.client} on broker ${life.broker}, up since ${Math.round(life.upAt ?? Number.NaN)}`,
  }))
  const checks = {
    stretches: 0,
    messages: 0,
    versions: 0,
    folds: 0,
    documents: 0,
    gaps: 0,
  }
  for (const { said } of history.lives) {
    checks.documents += said.filter(({ ackedAt }) => ackedAt !== null).length
  }
  for (const reading of readings) {
    const { name: reader } = reading
    checks.messages += reading.counts.messages
    checks.versions += reading.counts.versions
    checks.folds += reading.counts.folds
    checks.gaps += reading.gaps.length
    for (const { what, key, at, detail } of reading.misread) {
      violations.push({ invariant: what, key, at, reader, detail })
    }
    for (const { at, room } of reading.gaps) {
      // Of two bridges the second may be heard before the first.
      if (history.isShared || isNear(history.outages, at)) continue
      const detail = 'the diff did not build upon what the reader had'
      violations.push({ invariant: 'a gap without a fault', key: room, at, reader, detail })
    }
    for (const stretch of stretchesOf(reading, truth, history.outages)) {
      checks.stretches++
      const found = judgeStretch(stretch, truth.get(stretch.key), history.outages)
      if (found) violations.push({ ...found, reader })
    }
  }
  return { violations: violations.toSorted((a, b) => a.at - b.at), checks }
}

function isNear(outages: readonly Outage[], at: number): boolean {
  return outages.some(({ from, to }) => from <= at && at <= to + GAP_MS)
}

/** What a reader was shown of a key for a while, and what it has to be seen with. */
interface Stretch extends Shown {
  /** From here on the reader had everything that is retained. */
  readonly exactFrom: number
  /** Everything that it was shown of the same key while it was connected. */
  readonly session: readonly Shown[]
}

/** What a reader was shown; keys of which nothing came were absent. */
function stretchesOf(
  { shown, sessions }: Reading,
  truth: ReadonlyMap<string, Truth>,
  outages: readonly Outage[],
): Stretch[] {
  const byKey = new Map<string, Shown[]>()
  for (const key of truth.keys()) byKey.set(key, [])
  for (const each of shown) {
    const list = byKey.get(each.key)
    if (list) list.push(each)
    else byKey.set(each.key, [each])
  }
  return [...byKey].flatMap(([key, list]) =>
    sessions.flatMap(({ from, until }) => {
      const exactFrom = exactSince(from, outages)
      const session = list.filter((each) => each.from < until && each.until > from)
      return sourcesOf(key).flatMap((source): Stretch[] => {
        const own = session.filter((each) => each.source === source)
        const all = own.length > 0 ? own : [{ source, key, value: null, from, until }]
        return all.map((each) => ({ ...each, exactFrom, session }))
      })
    }),
  )
}

function sourcesOf(key: string): readonly Source[] {
  return key.includes(' ') ? ['member', 'fold'] : ['document', 'status']
}

/** When a reader has everything that is retained. A broker that was started anew has to be told it first. */
function exactSince(from: number, outages: readonly Outage[]): number {
  const recovered = outages
    .filter((outage) => outage.from <= from && from <= outage.to + recoveryOf(outage))
    .map(({ to }) => to + BOUNDS.settled.ms)
  return Math.max(from + BOUNDS.subscribed.ms, ...recovered)
}

type Found = Omit<Violation, 'reader'>

function judgeStretch(
  whole: Stretch,
  truth: Truth | undefined,
  outages: readonly Outage[],
): Found | undefined {
  const { key, value, source, exactFrom } = whole
  const { claims = [], present = [] } = truth ?? {}
  if (value === null) return judgeAbsence(whole, present, claims)
  const stretch = { ...whole, from: Math.max(whole.from, exactFrom) }
  if (stretch.from >= stretch.until) return undefined
  const fitting = value === NO_DATA ? claims : claims.filter((claim) => claim.value === value)
  const ghostAt = firstUncovered(
    stretch,
    fitting.map(({ possible }) => possible),
  )
  if (ghostAt !== undefined) {
    const isAnyone = firstUncovered(
      { from: ghostAt, until: ghostAt + 1 },
      claims.map((c) => c.possible),
    )
    const wrongData = fitting.length > 0 ? 'data that is out of date' : 'data that nobody gave'
    const invariant = isAnyone === undefined ? wrongData : 'a ghost'
    const detail = `${source} shows ${value} from ${inMs(stretch.from)} to ${inMs(stretch.until)}; allowed ${spans(fitting.map(({ possible }) => possible))}`
    return { invariant, key, at: ghostAt, detail }
  }
  if (value === NO_DATA) return undefined
  return judgeAge(stretch, fitting, claims, outages)
}

function judgeAbsence(
  stretch: Stretch,
  present: Truth['present'],
  claims: readonly Claim[],
): Found | undefined {
  const { key, source, exactFrom } = stretch
  for (const time of present) {
    const knownFrom = Math.max(time.shownBy, exactFrom)
    // Who has been shown with what it said in this time must not be taken away again, whatever is broken.
    const heldFrom = Math.min(knownFrom, seenAt(stretch, time, claims))
    const begin = Math.max(stretch.from, heldFrom)
    if (begin >= Math.min(stretch.until, time.until)) continue
    const invariant = stretch.from <= heldFrom ? 'not shown in time' : 'a false offline'
    const detail = `${source} shows nobody from ${inMs(stretch.from)} to ${inMs(stretch.until)}; there from ${inMs(time.from)} to ${inMs(time.until)}, to be shown by ${inMs(time.shownBy)}`
    return { invariant, key, at: begin, detail }
  }
  return undefined
}

/** When this reader was first shown something that was said in a time in which somebody was there. */
function seenAt(
  { source, session }: Stretch,
  { from, until }: Span,
  claims: readonly Claim[],
): number {
  const isStatus = source === 'status'
  const said = new Set(
    claims.filter(({ here }) => here.from >= from && here.from < until).map(({ value }) => value),
  )
  said.delete(NOTHING_SAID)
  const first = session.find(
    (each) =>
      each.source === (isStatus ? 'document' : source) &&
      each.value !== null &&
      said.has(each.value),
  )
  if (!first || !isStatus) return first?.from ?? Number.POSITIVE_INFINITY
  // The plain status says nothing of its own; it follows the document.
  const status = session.find(
    (each) => each.source === 'status' && each.value !== null && each.until > first.from,
  )
  return status ? Math.max(status.from, first.from) : Number.POSITIVE_INFINITY
}

/** Looks for a newer document that must have been shown in place of this one. */
function judgeAge(
  stretch: Shown,
  shown: readonly Claim[],
  claims: readonly Claim[],
  outages: readonly Outage[],
): Found | undefined {
  for (const newer of claims) {
    const begin = Math.max(stretch.from, newer.newest.from)
    const end = Math.min(stretch.until, newer.newest.until)
    if (begin >= end || newer.value === stretch.value || newer.value === 0) continue
    if (!shown.every((claim) => isOlder(claim, newer, begin, outages))) continue
    const detail = `${stretch.source} shows ${stretch.value} from ${inMs(stretch.from)} to ${inMs(stretch.until)}; ${newer.value} was newer from ${inMs(newer.newest.from)} to ${inMs(newer.newest.until)}`
    return { invariant: 'data that is out of date', key: stretch.key, at: begin, detail }
  }
  return undefined
}

/** How far apart the documents of two connections have to be to have an order, in milliseconds. */
const APART_MS = 3000

/** Whether a document is certainly older: of one connection by its place, of two by time, if nothing was broken. */
function isOlder(claim: Claim, newer: Claim, at: number, outages: readonly Outage[]): boolean {
  if (claim.life === newer.life) return claim.place < newer.place
  // Who has said nothing gives no data.
  if (claim.value === 0) return true
  if (claim.ackedAt === null || newer.at < claim.ackedAt + APART_MS) return false
  const since = claim.at
  const isDisturbed = outages.some(
    ({ from, to, harm }) =>
      (from <= (newer.ackedAt ?? newer.at) + BOUNDS.settled.ms &&
        to + BOUNDS.settled.ms >= since) ||
      // Whose data is the newest is not retained.
      (harm === 'empty' && from >= since && from <= at),
  )
  return !isDisturbed
}

/** The first moment of a time that none of the others covers. */
function firstUncovered(span: Span, by: readonly Span[]): number | undefined {
  let at = span.from
  for (const { from, until } of by.toSorted((a, b) => a.from - b.from)) {
    if (from > at) break
    at = Math.max(at, until)
  }
  return at < span.until ? at : undefined
}

function spans(list: readonly Span[]): string {
  return list.map(({ from, until }) => `${inMs(from)} to ${inMs(until)}`).join(', ') || 'never'
}

function inMs(at: number): string {
  return Number.isFinite(at) ? String(Math.round(at)) : 'ever'
}
