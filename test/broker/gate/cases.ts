import { hex, packet, props, text, u16 } from './bytes.ts'

/** What is sent, and what is expected of it. */
export interface Case {
  readonly title: string
  /** What the connection is connected as before; none: this is the first thing that it sends. */
  readonly version: 3 | 4 | 5 | undefined
  readonly bytes: Buffer
  /** What comes back; `accepted` stands for a CONNACK that says so. */
  readonly answer: Buffer | 'accepted'
  /** What it is refused for; the connection is then closed, and otherwise goes on. */
  readonly refused?: string
}

/** In short: what it is, its bytes, what it is refused for, and the bytes that come back. */
export type Row = readonly [
  title: string,
  bytes: Buffer,
  refused?: string | undefined,
  answer?: string,
]

export const ID = u16(0x1234)
export const PAYLOAD = Buffer.from('payload')
export const SURROGATE = hex('746f eda080')
export const OVERLONG = hex('746f c080')
export const NON_CHARACTER = hex('efbfbf')

export function cases(version: 3 | 4 | 5 | undefined, rows: readonly Row[]): Case[] {
  return rows.map(([title, bytes, refused, answer = '']) => ({
    title,
    version,
    bytes,
    answer: answer === 'accepted' ? answer : hex(answer),
    ...(refused === undefined ? {} : { refused }),
  }))
}

/** The same in 3.1.1, which closes, and in 5, which says why. */
export function inBoth(
  rows: readonly (readonly [string, Buffer, Buffer, string, number])[],
): Case[] {
  return [
    ...cases(
      4,
      rows.map(([title, bytes, , refused]) => [title, bytes, refused]),
    ),
    ...cases(
      5,
      rows.map(([title, , bytes, refused, reason]) => [
        title,
        bytes,
        refused,
        `e001${reason.toString(16)}`,
      ]),
    ),
  ]
}

export function connack5(reason: number): string {
  return `200300${reason.toString(16)}00`
}

export function publish(
  version: 4 | 5,
  first: number,
  topic: string | Buffer,
  id: readonly Buffer[] = [],
) {
  return packet(first, text(topic), ...id, version === 5 ? props() : [], PAYLOAD)
}
