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
