import { expect } from 'chai'
import type { IPublishPacket } from 'mqtt-packet'
import type { MqttPeer, PeerOptions } from '../helpers/mqtt-peer.ts'
import { startTcpBroker, type TcpBroker } from '../helpers/tcp-broker.ts'
import { DeliveryModel, randomSteps, type Due, type Step } from './delivery-model.ts'

const READERS = 6
const PUBLISHERS = 3
const END = '$end'

/** Real clients that do what the steps say, and are asked at the end of each what they have got. */
class World {
  readonly #house: TcpBroker
  readonly #model = new DeliveryModel()
  readonly #readers: MqttPeer[] = []
  readonly #publishers: MqttPeer[] = []
  readonly #got = new Map<number, IPublishPacket[]>()

  constructor(house: TcpBroker) {
    this.#house = house
  }

  async open(): Promise<void> {
    for (let i = 0; i < READERS; i++) await this.#connectReader(i)
    for (let i = 0; i < PUBLISHERS; i++) {
      const publisher = await this.#house.connect({ version: i % 2 === 0 ? 4 : 5 })
      publisher.acknowledge()
      this.#publishers.push(publisher)
    }
  }

  async take(step: Step): Promise<void> {
    const model = this.#model
    switch (step.kind) {
      case 'subscribe': {
        model.subscribe(step.reader, step.filter, step.qos)
        await this.#reader(step.reader).subscribe([{ topic: step.filter, qos: step.qos }])
        // A retained message that is replaced before it is sent is not sent.
        await this.#sync(step.reader)
        return
      }
      case 'unsubscribe': {
        model.unsubscribe(step.reader, step.filter)
        const unsubscriptions = [step.filter]
        await this.#reader(step.reader).request(
          { cmd: 'unsubscribe', messageId: 1, unsubscriptions },
          'unsuback',
        )
        return
      }
      case 'publish': {
        const publisher = this.#publishers[step.from]
        if (!publisher) return
        for (const message of step.batch) {
          model.publish(message)
          publisher.publish(message)
        }
        await publisher.request({ cmd: 'pingreq' }, 'pingresp')
        return
      }
      case 'die': {
        model.publish(step.will)
        const before = this.#house.broker.metrics()['connections'] ?? 0
        const { topic, qos, retain, payload } = step.will
        const will = { topic, qos, retain, payload: Buffer.from(payload) }
        const peer = await this.#house.connect({ will })
        peer.stream.destroy()
        await this.#house.untilConnections(before)
        return
      }
      case 'leave': {
        await this.#sync(step.reader)
        model.leave(step.reader)
        const before = this.#house.broker.metrics()['connections'] ?? 0
        const reader = this.#reader(step.reader)
        this.#collect(step.reader, reader)
        reader.stream.destroy()
        await this.#house.untilConnections(before - 1)
        return
      }
      case 'return': {
        model.return(step.reader)
        await this.#connectReader(step.reader)
      }
    }
  }

  /** Everything that the readers have got, and were to get. */
  async results(): Promise<{ readonly got: Due[]; readonly due: Due[] }[]> {
    const results = []
    for (let reader = 0; reader < READERS; reader++) {
      await this.#sync(reader)
      this.#collect(reader, this.#reader(reader))
      const got = (this.#got.get(reader) ?? []).map(toDue)
      results.push({ got, due: this.#model.due.get(reader) ?? [] })
    }
    return results
  }

  #reader(reader: number): MqttPeer {
    const peer = this.#readers[reader]
    if (!peer) throw new Error('no such reader')
    return peer
  }

  async #connectReader(reader: number): Promise<void> {
    const isPersistent = reader < READERS / 2
    const version = reader % 2 === 0 ? 4 : 5
    const options: PeerOptions = {
      version,
      clientId: `reader-${reader}`,
      clean: !isPersistent,
      ...(version === 5 && {
        properties: { ...(isPersistent && { sessionExpiryInterval: 600 }), receiveMaximum: 4 },
      }),
    }
    const peer = await this.#house.connect(options)
    peer.acknowledge()
    this.#readers[reader] = peer
  }

  /** Waits until a reader has got everything that was sent to it: it has answered all, and nothing comes. */
  async #sync(reader: number): Promise<void> {
    const peer = this.#reader(reader)
    const count = (): number => peer.packets.filter(({ cmd }) => cmd !== 'pingresp').length
    let before = -1
    while (before !== count()) {
      before = count()
      for (let i = 0; i < 3; i++) await peer.request({ cmd: 'pingreq' }, 'pingresp')
    }
  }

  #collect(reader: number, peer: MqttPeer): void {
    const all = this.#got.get(reader) ?? []
    all.push(
      ...peer.messages
        .splice(0)
        .filter(({ topic }) => !topic.startsWith('presence/') && topic !== END),
    )
    this.#got.set(reader, all)
  }
}

const toDue = ({ topic, qos, retain, payload }: IPublishPacket): Due => ({
  topic,
  qos,
  retain,
  payload: payload.toString(),
})

const asText = ({ topic, qos, retain, payload }: Due): string =>
  `${topic} at ${qos}${retain ? ' retained' : ''}: ${payload}`

/** The live messages of one publisher on one topic at one QoS, in order [MQTT-4.6.0-6]. */
function inLanes(list: readonly Due[]): Record<string, string[]> {
  const lanes: Record<string, string[]> = {}
  for (const { topic, retain, payload } of list) {
    if (retain || payload === '') continue
    const [from, qos] = payload.split(' ')
    const lane = `${from} ${topic} ${qos}`
    ;(lanes[lane] ??= []).push(payload)
  }
  return lanes
}

describe('random publishers and readers', () => {
  const runs = Number(process.env['RUNS'] ?? 12)
  const first = Number(process.env['SEED'] ?? 1)
  for (let seed = first; seed < first + runs; seed++) {
    it(`get what MQTT’s rules of delivery say, once and in order: seed ${seed}`, async function () {
      this.timeout(60_000)
      const house = await startTcpBroker({
        limits: { maxMessagesPerSecond: 100_000, maxRetained: 1000 },
      })
      const world = new World(house)
      await world.open()
      for (const step of randomSteps(seed, READERS, PUBLISHERS, 120)) await world.take(step)
      for (const [reader, { got, due }] of (await world.results()).entries()) {
        const what = `reader ${reader}`
        expect(got.map(asText).toSorted(), what).to.deep.equal(due.map(asText).toSorted())
        expect(inLanes(got), what).to.deep.equal(inLanes(due))
      }
    })
  }
})
