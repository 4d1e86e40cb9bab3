/** What the store needs to know of an Aedes client; some of its calls give no more than the id. */
export interface SessionClient {
  readonly id: string
  /** Whether the session ends with the connection. */
  readonly clean?: boolean
  /** Whether the connection has ended. */
  readonly closed?: boolean
  /** Set by Aedes in the place of a client, when it cleans up after one. */
  readonly brokerId?: string
}
