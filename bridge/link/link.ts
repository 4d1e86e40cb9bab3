/** A message as it arrives. */
export interface LinkMessage {
  readonly topic: string
  readonly payload: Uint8Array
  readonly retain: boolean
}

/** What a bridge wants to be told by its link. */
export interface LinkHandlers {
  /** A message on one of the subscribed filters. It counts as received when the promise settles. */
  onMessage(message: LinkMessage): Promise<void>
  /**
   * The link is up. No message is delivered before the promise settles.
   *
   * @param resumed whether everything published meanwhile was kept for the bridge and is on its way
   */
  onUp(resumed: boolean): Promise<void>
  /** The link is down: nothing arrives, nothing can be published. */
  onDown(): void
}

/** How a message is published. */
export interface LinkPublishOptions {
  readonly retain: boolean
  /**
   * The version of what the message tells. Our brokers leave it out when the topic has had a higher one, and
   * acknowledge it all the same; readers are not told it. Others pass it on as the user property `version`.
   */
  readonly version?: number
}

/**
 * The bridge's way to a broker: in the same process or over a socket. The bridge knows no other
 * difference between its own broker and a foreign one.
 */
export interface Link {
  /** The broker is in this process: what it has acknowledged has come here. @default false */
  readonly isLocal?: boolean
  /** The retained messages on these filters as they are now. May be called before `open`. */
  readRetained(filters: readonly string[]): Promise<readonly LinkMessage[]>
  /** Subscribes, and from then on keeps the link up by itself. Resolves when it is up for the first time. */
  open(filters: readonly string[], handlers: LinkHandlers): Promise<void>
  /** Resolves when the broker has the message; rejects when the link is down or goes down. */
  publish(topic: string, payload: string, options: LinkPublishOptions): Promise<void>
  /** Idempotent; what was published before is delivered. */
  close(): Promise<void>
}
