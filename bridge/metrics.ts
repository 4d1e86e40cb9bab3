import type { Effect } from './core/index.ts'

/** The bridge's counters since its start. */
export interface Metrics {
  documents: number
  invalid: number
  stalls: number
  errors: number
  count(effect: Effect): void
  values(): Record<string, number>
}

/** Creates counters that stand at zero. */
export function createMetrics(): Metrics {
  const counts = { joins: 0, leaves: 0, online: 0, offline: 0, refused: 0, stale: 0 }
  return {
    documents: 0,
    invalid: 0,
    stalls: 0,
    errors: 0,
    count(effect) {
      if (effect.type === 'transition') counts[effect.to]++
      else if (effect.type === 'stale') counts.stale++
      else if (effect.type === 'refused') counts.refused++
      else if (effect.type === 'member' && effect.joined) counts.joins++
      else if (effect.type === 'leave') counts.leaves++
    },
    values() {
      const { documents, invalid, stalls, errors } = this
      return { documents, invalid, stalls, errors, ...counts }
    },
  }
}
