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
  /** Times this process was found not to have been running. */
  stalls: number
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
    stalls: 0,
    errors: 0,
  }
}
