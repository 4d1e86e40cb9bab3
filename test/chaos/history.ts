/*
 * What was really done, as the harness knows it: nothing in here comes from the program's output.
 * Every time is in milliseconds by the harness's clock.
 */

/**
 * How a connection ended. `unsure`: a goodbye of which nobody knows whether it arrived. `lost`: its client
 * found it closed, and did not do it; explain.ts finds out why.
 */
export type Ending = 'left' | 'closed' | 'silent' | 'replaced' | 'broker' | 'unsure' | 'lost'

/** The end of a connection: it came at some time between two times. */
export interface End {
  readonly how: Ending
  readonly from: number
  readonly until: number
}

/** A connection document: its number is the user's data, and its data in each of the rooms. */
export interface Said {
  readonly number: number
  readonly rooms: readonly string[]
  readonly at: number
  /** When the broker's acknowledgement came; null when none came. */
  readonly ackedAt: number | null
}

/** One connection, or the attempt at one. */
export interface Life {
  readonly user: string
  readonly client: string
  readonly broker: number
  /** From here on it may be there. */
  readonly askedAt: number
  /** From here on it was there: CONNACK. Null when none came. */
  readonly upAt: number | null
  readonly said: readonly Said[]
  /** Null while it is up. */
  readonly end: End | null
}

/** Faults of our side, by what they are done to. */
export const FAULTS = {
  server: ['stop', 'kill', 'restart'],
  broker: ['stop', 'kill', 'restart'],
  bridge: ['stop', 'kill', 'restart'],
  redis: ['stop', 'kill', 'empty', 'drop'],
  line: ['stall', 'cut'],
} as const

export type Part = keyof typeof FAULTS
export type Harm = (typeof FAULTS)[Part][number]

/** A fault of our side that was in force for a while. `harness`: the checker itself was late. */
export interface Outage {
  readonly part: Part | 'harness'
  readonly harm: Harm | 'late'
  /** Which one of them. */
  readonly target: number
  readonly from: number
  readonly to: number
}

/** Everything that was done. */
export interface History {
  readonly lives: readonly Life[]
  readonly outages: readonly Outage[]
  /** Whether presence lives in the one server, and dies with it. */
  readonly isVolatile: boolean
  /** Whether several bridges publish. */
  readonly isShared: boolean
  /** Whether one broker alone has what is retained: with its memory and that of Redis everything is gone. */
  readonly isAlone: boolean
}
