/*
 * Attacks a broker from a process of its own, so that what it costs to attack does not delay the broker.
 */
import { createRandom } from '../../helpers/random.ts'
import { ATTACKS, createDialer } from './attackers.ts'

/** What it is told. */
export interface Order {
  readonly port: number
  readonly packets: number
  readonly seed: number
}

/** What it tells. */
export interface Progress {
  readonly sent: number
  readonly isOver: boolean
}

process.once('message', ({ port, packets, seed }: Order) => {
  void attack(port, packets, seed)
})

async function attack(port: number, packets: number, seed: number): Promise<void> {
  const random = createRandom(seed)
  const dialer = createDialer(port)
  let sent = 0
  for (let round = 0; sent < packets; round++) {
    const hand = {
      random,
      dial: () => dialer.dial(),
      version: random.pick([3, 4, 5] as const),
      clientId: random.pick(['fuzz-1', 'fuzz-2', '__proto__', `fuzz-${random.below(500)}`]),
    }
    sent += await random.pick(Object.values(ATTACKS))(hand)
    if (round % 20 === 0) process.send?.({ sent, isOver: false } satisfies Progress)
    // Lets the broker keep pace: a socket takes more than is read of it.
    if (round % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  }
  await dialer.close()
  process.send?.({ sent, isOver: true } satisfies Progress, () => process.disconnect())
}
