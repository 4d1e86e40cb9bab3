import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  formatConnectionDocument,
  type BrokerHeartbeat,
  type Cause,
  type ConnectionDocument,
  type Topics,
} from '../../protocol/index.ts'
import type { Connection, Identity } from '../connection.ts'
import { nextStamp } from './next-stamp.ts'

/** Says on the input plane what the broker knows of its connections. */
export interface Announcer {
  /** The connection is there; once. */
  announce(connection: Connection): void
  /** Says again what its documents come to. */
  repeat(connection: Connection): void
  /** The payload that says that the connection is over; to be published at once, since it is stamped. */
  formatEnd(connection: Connection, cause: Cause): string
  /** Publishes that the connection is over; once. */
  end(connection: Connection, cause: Cause): void
  /** Announces every live connection again, then beats with the call's id. */
  answerRollCall(rollcall: string | undefined): Promise<void>
  /** Says that it is there, and answers a ping. */
  beat(ping?: string): void
  /** From now on the heartbeat says that connections end through no fault of their own. */
  setClosing(): void
}

/** Options of {@link createAnnouncer}. */
export interface AnnouncerOptions {
  readonly broker: string
  readonly topics: Topics
  readonly heartbeatMs: number
  readonly connections: () => Iterable<Connection>
  readonly publish: (topic: string, payload: string) => void
}

/** Connections that are announced before other work gets its turn. */
const SLICE = 200

/** Creates the announcer. */
export function createAnnouncer(options: AnnouncerOptions): Announcer {
  const { broker, topics, heartbeatMs, connections, publish } = options
  let status: 'up' | 'closing' = 'up'

  function say({ user, client }: Identity, document: ConnectionDocument): void {
    const stamped = { ...document, broker, stamp: nextStamp() }
    publish(topics.connection(user, client), formatConnectionDocument(stamped))
  }

  function beat(answers: Pick<BrokerHeartbeat, 'rollcall' | 'ping'> = {}): void {
    let count = 0
    for (const { state } of connections()) if (state === 'announced') count++
    const heartbeat = { broker, status, connections: count, intervalMs: heartbeatMs, ...answers }
    publish(topics.broker(broker), JSON.stringify(heartbeat))
  }

  function formatEnd({ id, heardAt, claim }: Connection, reason: Cause): string {
    return formatConnectionDocument({
      status: 'offline',
      connection: id,
      reason,
      broker,
      ended: true,
      lastSeen: heardAt,
      stamp: nextStamp(),
      ...(claim !== undefined && { claim }),
    })
  }

  function repeat({ identity, state, id, document, heardAt, claim }: Connection): void {
    if (state !== 'announced' || !identity) return
    // The time says that it is a repetition, and of whom: it must not count as the client's newest.
    const claimed = claim === undefined ? {} : { claim }
    say(identity, { ...document, ...claimed, connection: id, lastSeen: heardAt })
  }

  return {
    formatEnd,
    repeat,
    announce(connection) {
      const { identity, state, id, claim } = connection
      if (state !== 'connecting' || !identity?.present) return
      connection.state = 'announced'
      say(identity, { status: 'online', connection: id, ...(claim !== undefined && { claim }) })
    },
    end(connection, cause) {
      const { identity, state } = connection
      connection.state = 'ended'
      if (state !== 'announced' || !identity) return
      publish(topics.connection(identity.user, identity.client), formatEnd(connection, cause))
    },
    async answerRollCall(rollcall) {
      let left = SLICE
      for (const connection of connections()) {
        if (connection.state !== 'announced') continue
        repeat(connection)
        if (--left > 0) continue
        left = SLICE
        await nextTurn()
      }
      beat(rollcall === undefined ? {} : { rollcall })
    },
    beat: (ping) => beat(ping === undefined ? {} : { ping }),
    setClosing() {
      status = 'closing'
    },
  }
}
