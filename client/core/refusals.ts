/** Refusals that the same CONNECT would meet again, by return code (3.1.1) and reason code (5). */
const FINAL: Readonly<Record<number, string>> = {
  0x01: 'the broker does not speak this version of MQTT',
  0x02: 'the broker refuses the client id',
  0x04: 'the broker refuses the user name or the token',
  0x05: 'the broker says that this user may not connect',
  0x84: 'the broker does not speak this version of MQTT',
  0x85: 'the broker refuses the client id',
  0x86: 'the broker refuses the user name or the token',
  0x87: 'the broker says that this user may not connect',
  0x8a: 'the broker has banned this client',
  0x8c: 'the broker refuses this way to authenticate',
  0x9d: 'the broker has moved for good',
}

/** Whether trying again is useless, so that it would only hammer the broker. */
export function isFinalRefusal(code: number): boolean {
  return code in FINAL
}

/** A refusal in one sentence. */
export function describeRefusal(code: number): string {
  return `${FINAL[code] ?? 'the broker takes no connections now'} (CONNACK ${code})`
}

/** Refusals that may be about the token: a newer one may be welcome. */
const OF_CREDENTIALS: readonly number[] = [0x04, 0x05, 0x86, 0x87]

/** Whether a refusal is about who connects, and with what. */
export function isAboutCredentials(code: number): boolean {
  return OF_CREDENTIALS.includes(code)
}

/** Why a broker ends a connection, by the reason code of its DISCONNECT (5). */
const ENDS: Readonly<Record<number, string>> = {
  0x8b: 'the broker shuts down',
  0x8e: 'another client has taken over the client id',
  0x96: 'the broker says that this client does too much',
  0x98: 'an administrator has ended the connection',
  0xa0: 'the token has expired',
}

/** Whether the broker ended the connection because its token has expired. */
export function isTokenExpiry(code: number): boolean {
  return code === 0xa0
}

/** The end of a connection in one sentence. */
export function describeDisconnect(code: number): string {
  return `${ENDS[code] ?? 'the broker ended the connection'} (DISCONNECT ${code})`
}
