/** A time as everything on the page shows it, whatever the language: hours of 24, minutes, seconds. */
export function clockTime(at: number | string): string {
  return new Date(at).toLocaleTimeString([], { hourCycle: 'h23' })
}
