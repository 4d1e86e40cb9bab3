import type { Clock } from './clock.ts'
import type { Logger } from './logger.ts'

/** What may be written. */
export interface LogShares {
  /** Lines that one source may cause at once. @default 30 */
  readonly burst?: number
  /** Lines a second that it may cause after that. @default 1 */
  readonly perSecond?: number
  /** Lines at once of all sources, of which half are for those that have caused none lately. @default 100 */
  readonly burstOfAll?: number
  /** Lines a second of all sources after that. @default 20 */
  readonly perSecondOfAll?: number
  /** Sources that are remembered. @default 1000 */
  readonly maxSources?: number
}

/** Whose lines were left out, and how many. */
interface Suppressed {
  readonly source: string
  readonly lines: number
}

interface Source {
  readonly share: Share
  suppressed: number
}

/** How many sources a line names whose lines were left out. */
const MAX_NAMED = 5

/** How much of a source's name is kept. */
const MAX_NAME = 256

/**
 * A warning that strangers can cause at will. Each source, which is the user, client, address or topic in the
 * fields, has a share, so that who floods the log hides nobody else's line, and all together are bounded. The
 * next line says how many were left out (`suppressed`), and of whom most (`suppressedOf`).
 */
export function createLimitedWarning(
  logger: Logger,
  clock: Clock,
  shares: LogShares = {},
): (fields: object, message: string) => void {
  const { burst = 30, perSecond = 1, burstOfAll = 100, perSecondOfAll = 20 } = shares
  const { maxSources = 1000 } = shares
  const all = createShare(burstOfAll, perSecondOfAll)
  /** The one that was heard longest ago first. */
  const sources = new Map<string, Source>()
  /** In all; those of sources that are forgotten included. */
  let suppressed = 0

  function find(name: string): Source {
    const source = sources.get(name) ?? { share: createShare(burst, perSecond), suppressed: 0 }
    sources.delete(name)
    sources.set(name, source)
    for (const oldest of sources.keys()) {
      if (sources.size <= maxSources) break
      sources.delete(oldest)
    }
    return source
  }

  function takeSuppressed(): object {
    if (suppressed === 0) return {}
    const suppressedOf: Suppressed[] = []
    for (const [source, known] of sources) {
      if (known.suppressed > 0) suppressedOf.push({ source, lines: known.suppressed })
      known.suppressed = 0
    }
    const told = { suppressed, suppressedOf: most(suppressedOf) }
    suppressed = 0
    return told
  }

  return (fields, message) => {
    const now = clock.now()
    const source = find(sourceOf(fields))
    const own = source.share.left(now)
    const ofAll = all.left(now)
    const needed = own === burst ? 1 : burstOfAll / 2 + 1
    if (own < 1 || ofAll < needed) {
      source.suppressed++
      suppressed++
      return
    }
    source.share.take()
    all.take()
    logger.warn({ ...fields, ...takeSuppressed() }, message)
  }
}

/** What is used up by lines and grows with time. */
interface Share {
  left(now: number): number
  take(): void
}

function createShare(burst: number, perSecond: number): Share {
  let left = burst
  let at = 0
  return {
    left(now) {
      // A clock that was set back gives nothing, and takes nothing.
      const seconds = Math.max(0, now - at) / 1000
      left = Math.min(burst, left + seconds * perSecond)
      at = now
      return left
    },
    take: () => void left--,
  }
}

function most(suppressed: readonly Suppressed[]): readonly Suppressed[] {
  return suppressed.toSorted((a, b) => b.lines - a.lines).slice(0, MAX_NAMED)
}

const SOURCES = ['user', 'client', 'address', 'topic'] as const

function sourceOf(fields: Partial<Record<(typeof SOURCES)[number], unknown>>): string {
  for (const name of SOURCES) {
    const value = fields[name]
    if (typeof value !== 'string') continue
    // A slice would keep the whole text in memory.
    return value.length > MAX_NAME ? Buffer.from(value.slice(0, MAX_NAME)).toString() : value
  }
  return ''
}
