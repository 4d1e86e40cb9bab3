/** How many bytes a string has as UTF-8. A lone surrogate counts as what an encoder makes of it: three. */
export function utf8Length(text: string): number {
  let bytes = text.length
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0x80) continue
    bytes += code < 0x800 ? 1 : 2
    // Two units are four bytes.
    if (isPair(code, text.charCodeAt(i + 1))) i++
  }
  return bytes
}

/** Whether a string has more bytes as UTF-8; they are not counted when it is clearly short enough. */
export function isLonger(text: string, bytes: number): boolean {
  return text.length * MAX_BYTES > bytes && utf8Length(text) > bytes
}

/** Of one UTF-16 code unit. */
const MAX_BYTES = 3

function isPair(high: number, low: number): boolean {
  return high >= 0xd800 && high < 0xdc00 && low >= 0xdc00 && low < 0xe000
}
