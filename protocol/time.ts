// oxlint-disable no-restricted-globals -- converts times, never asks for the current one

/** An ISO 8601 time in UTC, with milliseconds. */
export type IsoTime = string

/** Milliseconds since the epoch as the contract writes times. */
export function formatTime(ms: number): IsoTime {
  return new Date(ms).toISOString()
}

/** Milliseconds since the epoch of a written time; NaN when it is none. */
export function parseTime(time: IsoTime): number {
  return Date.parse(time)
}
