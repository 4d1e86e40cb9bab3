import { isUtf8 } from 'node:buffer'

/** Whether a payload is UTF-8 if its properties say so (3.3.2.3.2; of a will 3.1.3.2.3). */
export function hasPayloadFormat(
  payload: string | Buffer,
  properties: object | undefined,
): boolean {
  if (typeof payload === 'string' || !properties) return true
  return (
    !('payloadFormatIndicator' in properties && properties.payloadFormatIndicator) ||
    isUtf8(payload)
  )
}
