import { randomUUID } from 'node:crypto'
import type { Address } from '../helpers/connect-options.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { within } from '../helpers/within.ts'
import { KEEPALIVE_S } from './bounds.ts'
import type { Diary } from './diary.ts'
import type { Manner } from './plan.ts'

/** How long a connection that nothing is heard of is waited for, in milliseconds. */
const ANSWER_MS = 8000

/** A connection that falls silent behind its first word, while its socket stays. */
export async function comeHalfOpen(
  user: string,
  address: Address,
  { broker, version, transport, rooms }: Manner,
  diary: Diary,
): Promise<void> {
  const askedAt = performance.now()
  const life = diary.begin({ user, client: randomUUID(), broker, askedAt })
  diary.note(user, `connects half-open to broker ${broker}`)
  diary.count('half-open')
  try {
    const options = { user, version, transport, keepalive: KEEPALIVE_S, pongs: false }
    const raw = await within(ANSWER_MS, 'a connection', connectRaw(address, options))
    life.upAt = performance.now()
    if (rooms) {
      const number = diary.nextNumber()
      const said = { number, rooms, at: performance.now(), ackedAt: null as number | null }
      life.said.push(said)
      diary.note(user, `half-open says ${number}: ${rooms.join(' ')}`)
      await within(ANSWER_MS, 'an acknowledgement', raw.say(documentOf(number, rooms)))
      said.ackedAt = performance.now()
    }
    // It was heard when it spoke last, not up to one keepalive before.
    life.end = { how: 'silent', from: raw.spokeAt + KEEPALIVE_S * 1000, until: raw.spokeAt }
  } catch {
    life.end = { how: 'unsure', from: askedAt, until: performance.now() }
  }
}

/** What a client says: its number is the user's data, and its data in each room. */
export function documentOf(number: number, rooms: readonly string[]): object {
  const places = Object.fromEntries(rooms.map((room) => [room, number]))
  return { status: 'online', rooms: places, data: number }
}
