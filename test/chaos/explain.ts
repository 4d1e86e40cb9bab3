import { BOUNDS, GRACE } from './bounds.ts'
import type { End, History, Life, Outage } from './history.ts'

/** A connection that nobody ended, and that no fault explains. */
export interface Dropped {
  readonly life: Life
  readonly at: number
}

/** For how long after a fault of ours a connection may still be lost by it, in milliseconds. */
const BLAMED_MS = 15_000

/** Until a client that finds its connection closed has told so, in milliseconds. */
const TOLD_MS = 3000

/** How much sooner than at its bound a broker may be missed, in milliseconds: a heartbeat, and a look. */
const BEAT_MS = 3000

/** How soon an attempt to reach a dead broker fails, in milliseconds. */
const REFUSED_MS = 150

/** How much earlier than it was found a connection of which nothing is known may have ended, in milliseconds. */
const FOUND_MS = 1000

/** Gives every connection that was found closed the end that explains it. */
export function explainEnds(history: History): {
  readonly history: History
  readonly dropped: readonly Dropped[]
} {
  const dropped: Dropped[] = []
  const real = history.lives.filter((life) => !wasRefused(life, history))
  const lives = real.map((life) => {
    if (life.end?.how !== 'lost') return loseWithBroker(life, history)
    const end = explain(life, life.end.until, history)
    if (end) return { ...life, end }
    dropped.push({ life, at: life.end.until })
    return { ...life, end: { how: 'lost' as const, from: life.end.from, until: life.end.until } }
  })
  return { history: { ...history, lives }, dropped }
}

/** Whether an attempt to connect found nobody: it failed at once at a broker that was dead. */
function wasRefused(life: Life, { outages }: History): boolean {
  const { askedAt, upAt, end } = life
  if (upAt !== null || end === null || end.until - askedAt > REFUSED_MS) return false
  return outages.some(
    (outage) =>
      isBrokerOf(life, outage) &&
      outage.harm === 'kill' &&
      outage.from < askedAt &&
      end.until < outage.to,
  )
}

function explain(life: Life, found: number, { lives, outages }: History): End | undefined {
  const own = outages.filter((outage) => isBrokerOf(life, outage))
  const death = own.findLast(
    ({ harm, from }) => harm !== 'stop' && from <= found && found <= from + TOLD_MS,
  )
  if (death) return { how: 'broker', from: death.from, until: found }
  const stop = own.findLast(
    ({ harm, from, to }) => harm === 'stop' && from <= found && found <= to + TOLD_MS,
  )
  if (stop) {
    // It does not notice before it goes on; but bridges may miss it before that, one heartbeat earlier than 9 s.
    const from = Math.min(
      Math.max(stop.to, found - TOLD_MS),
      stop.from + BOUNDS.missed.ms - BEAT_MS,
    )
    return { how: 'broker', from, until: stop.to + TOLD_MS }
  }
  const rival = lives.findLast(
    ({ user, client, askedAt }) =>
      user === life.user && client === life.client && askedAt > life.askedAt && askedAt <= found,
  )
  if (rival) return { how: 'replaced', from: rival.askedAt, until: found }
  const isBlamed = outages.some(({ from, to }) => from <= found && found <= to + BLAMED_MS)
  return isBlamed
    ? { how: 'unsure', from: found - FOUND_MS + GRACE.closed, until: found }
    : undefined
}

/** An end that its broker may not have lived to tell is the broker's. */
function loseWithBroker(life: Life, { outages }: History): Life {
  const { end } = life
  if (!end || end.how === 'broker' || end.how === 'unsure') return life
  const death = outages.find(
    ({ harm, from, ...outage }) =>
      harm !== 'stop' &&
      isBrokerOf(life, { harm, from, ...outage }) &&
      from >= end.from - FOUND_MS &&
      from <= end.until + TOLD_MS,
  )
  if (!death) return life
  // What it was is what it is held for at least; the broker's grace is what it may be held for.
  return { ...life, end: { ...end, until: Math.max(end.until, death.to + GRACE.broker) } }
}

function isBrokerOf({ broker }: Life, { part, target }: Outage): boolean {
  return (part === 'server' || part === 'broker') && target === broker
}
