/** The keys that brokers share. One hash tag: a script may touch all of them. */
export interface ClusterKeys {
  /** Stream of messages and of words among brokers; ids are `n-0`, consecutive. */
  readonly log: string
  /**
   * Hash: `count`, the number of the last entry; `epoch`, which data this is; `node`, the server in charge when
   * brokers last looked whether it has lost something.
   */
  readonly head: string
  /** Hash: broker → number of its last batch, so that one that is sent twice counts once. */
  readonly batches: string
  /** Hash: topic → number of the entry, a line break, and the message. */
  readonly retained: string
  /** Sorted set: topics that were cleared not long ago, by their version. */
  readonly cleared: string
  /** Sorted set: topics that were cleared lately, by the number of the entry. */
  readonly emptied: string
  /** Sorted set: brokers by when they last beat, in milliseconds. */
  readonly brokers: string
  /** Hash: client id → who has it. */
  readonly clients: string
  /** Set of the client ids whose session outlives its connection. */
  readonly sessions: string
  /** Hash: broker → number of the entry up to which everything is in its sessions. */
  readonly positions: string
  /** Hash: a broker that is gone → who deals with what it left behind. */
  readonly estates: string
  /** Hash: client id → will, of one broker. */
  wills(broker: string): string
  /** The same of one that is gone: wills that are not published yet. */
  orphans(broker: string): string
  /** Hash: what is kept of one session, field by field; `o`, the broker that writes it. */
  session(clientId: string): string
}

/** Creates the keys below a root. */
export function createClusterKeys(root: string): ClusterKeys {
  const prefix = `${root}:{cluster}`
  return {
    log: `${prefix}:log`,
    head: `${prefix}:head`,
    batches: `${prefix}:batches`,
    retained: `${prefix}:retained`,
    cleared: `${prefix}:cleared`,
    emptied: `${prefix}:emptied`,
    brokers: `${prefix}:brokers`,
    clients: `${prefix}:clients`,
    sessions: `${prefix}:sessions`,
    positions: `${prefix}:positions`,
    estates: `${prefix}:estates`,
    wills: (broker) => `${prefix}:wills:${broker}`,
    orphans: (broker) => `${prefix}:orphans:${broker}`,
    session: (clientId) => `${prefix}:session:${clientId}`,
  }
}
