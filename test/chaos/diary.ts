import type { End, History, Life, Outage, Said } from './history.ts'
import type { Topology } from './options.ts'

/** A connection as it is being written down. */
export interface OpenLife extends Omit<Life, 'upAt' | 'said' | 'end'> {
  upAt: number | null
  said: OpenSaid[]
  end: End | null
}

interface OpenSaid extends Omit<Said, 'ackedAt'> {
  ackedAt: number | null
}

/** One thing that was done, for whoever has to find out why. */
export interface Deed {
  readonly at: number
  /** A user, or what was broken. */
  readonly who: string
  readonly what: string
}

/** Writes down what is done, while it is done. */
export interface Diary {
  begin(life: Omit<OpenLife, 'upAt' | 'said' | 'end'>): OpenLife
  note(who: string, what: string): void
  /** Counts a fault, or an act. */
  count(kind: string): void
  outage(outage: Outage): void
  readonly outages: readonly Outage[]
  readonly deeds: readonly Deed[]
  readonly counts: ReadonlyMap<string, number>
  history(): History
  /** The number of the next document. */
  nextNumber(): number
}

/** An empty one. */
export function createDiary(topology: Topology): Diary {
  const lives: OpenLife[] = []
  const outages: Outage[] = []
  const deeds: Deed[] = []
  const counts = new Map<string, number>()
  let documents = 0
  return {
    begin(life) {
      const open: OpenLife = { ...life, upAt: null, said: [], end: null }
      lives.push(open)
      return open
    },
    note: (who, what) => void deeds.push({ at: performance.now(), who, what }),
    count: (kind) => void counts.set(kind, (counts.get(kind) ?? 0) + 1),
    outage: (outage) => void outages.push(outage),
    outages,
    deeds,
    counts,
    history: () => ({
      lives,
      outages,
      isVolatile: topology === 'single',
      isShared: topology !== 'single',
      isAlone: topology === 'bridges',
    }),
    nextNumber: () => ++documents,
  }
}
