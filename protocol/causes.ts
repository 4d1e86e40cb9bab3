/** How a connection ended. The order is that of PROTOCOL.md. */
export const CAUSES = ['left', 'unload', 'closed', 'timeout', 'error', 'broker', 'kicked'] as const

/**
 * How a connection ended:
 * - `left`: the client said so (DISCONNECT, or a document with reason `left`);
 * - `unload`: a page said that it is unloading;
 * - `closed`: the socket closed without a word;
 * - `timeout`: the client was silent for too long;
 * - `error`: the client broke the protocol or a limit;
 * - `broker`: the broker, not the client, went away;
 * - `kicked`: an administrator or an expired token ended it.
 */
export type Cause = (typeof CAUSES)[number]

/** Whether a string is one of the causes. */
export function isCause(value: unknown): value is Cause {
  return (CAUSES as readonly unknown[]).includes(value)
}
