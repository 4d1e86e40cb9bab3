import type { PacketReader } from './packet-reader.ts'
import { PROTOCOL_ERROR, QUOTA_EXCEEDED, TOPIC_ALIAS_INVALID } from './refusal.ts'

/** Characters that the topics of one connection's aliases may have together. */
const MAX_CHARACTERS = 65_536

/** The topics for which one client of version 5 has made short names [MQTT-3.3.2-7 to -12]. */
export class TopicAliases {
  readonly #topics = new Map<number, string>()
  readonly #max: number
  #characters = 0

  /** With the highest alias, which the client has been told in CONNACK. */
  constructor(max: number) {
    this.#max = max
  }

  /** The topic of a message that came with an alias: its own, which the alias then stands for, or the alias's. */
  resolve(reader: PacketReader, alias: number, topic: string): string {
    const known = this.#topics.get(alias) ?? ''
    if (alias > this.#max) {
      reader.fail('topic_alias', TOPIC_ALIAS_INVALID)
    } else if (topic !== '') {
      this.#characters += topic.length - known.length
      if (this.#characters > MAX_CHARACTERS) reader.fail('topic_alias', QUOTA_EXCEEDED)
      else this.#topics.set(alias, topic)
      return topic
    } else if (known === '') {
      reader.fail('topic_alias', PROTOCOL_ERROR)
    }
    return known
  }
}
