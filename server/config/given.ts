import type { Option } from './spec.ts'

/** A value that somebody gave to an option, not yet checked. */
export interface Given {
  readonly option: Option
  /** Where it came from, as an error names it: `--grace-closed`, `PRESENCE_GRACE_CLOSED`. */
  readonly source: string
  readonly raw: unknown
}

/** What one source gives, and a sentence for each of its mistakes. */
export interface Reading {
  readonly given: readonly Given[]
  readonly errors: readonly string[]
}
