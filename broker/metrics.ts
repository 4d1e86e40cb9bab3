/** The broker's counters since its start. */
export interface Metrics {
  /** Sockets taken. */
  accepted: number
  /** Clients that got through their CONNECT. */
  connects: number
  /** Connections ended for silence. */
  timeouts: number
  /** Connection documents dropped because they could not be understood. */
  invalidDocuments: number
  /** Publications dropped because they were not the client's to make. */
  refusedPublications: number
  /** CONNECTs that were refused. */
  refusedConnects: number
  /** Of these, because a user had too many connections. */
  refusedUserConnections: number
  /** Of these, because a user connected too often. */
  refusedFastConnects: number
  /** Filters that were refused. */
  refusedSubscriptions: number
  /** Of these, because a connection had too many. */
  refusedExcessSubscriptions: number
  /** Documents refused because there were too many rooms, or a room had too many members. */
  refusedRooms: number
  /** Retained messages refused because there were too many outside of presence. */
  refusedRetained: number
  /** Connections ended because they did more than the limits allow for too long. */
  floods: number
  /** Connections ended because their credentials had expired. */
  expired: number
  /** Times this process was found not to have been running. */
  stalls: number
  /** Messages that went because too many waited for a client to acknowledge others. */
  droppedFromWindows: number
  /** Failures of the broker itself. */
  errors: number
}

/** Creates counters that stand at zero. */
export function createMetrics(): Metrics {
  return {
    accepted: 0,
    connects: 0,
    timeouts: 0,
    invalidDocuments: 0,
    refusedPublications: 0,
    refusedConnects: 0,
    refusedUserConnections: 0,
    refusedFastConnects: 0,
    refusedSubscriptions: 0,
    refusedExcessSubscriptions: 0,
    refusedRooms: 0,
    refusedRetained: 0,
    floods: 0,
    expired: 0,
    stalls: 0,
    droppedFromWindows: 0,
    errors: 0,
  }
}

/** A counter for each kind of refusal, named `refused_<kind>`. */
export function refusedByKind(refused: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(refused).map(([kind, count]) => [`refused_${kind}`, count]),
  )
}
