import { failure, show, success, type Result } from '../../protocol/result.ts'

const UNITS = { GB: 1024 ** 3, MB: 1024 ** 2, kB: 1024, B: 1 } as const

/** Reads a size as people write it, to bytes: `512B`, `64kB`, `1.5MB`, `1GB`. A kB is 1024 bytes. */
export function parseSize(value: unknown): Result<number> {
  const match =
    typeof value === 'string' ? /^(\d{1,12}(?:\.\d{1,6})?)(g|m|k|)b$/i.exec(value.trim()) : null
  if (!match) return failure(`expected a size such as 512B, 64kB or 1MB, got ${show(value)}`)
  const [, digits, prefix = ''] = match
  const unit = { g: UNITS.GB, m: UNITS.MB, k: UNITS.kB }[prefix.toLowerCase()] ?? UNITS.B
  return success(Math.round(Number(digits) * unit))
}

/** Writes bytes as people write sizes, in the largest unit that divides them: 65536 is `64kB`. */
export function formatSize(bytes: number): string {
  for (const [unit, size] of Object.entries(UNITS)) {
    if (bytes > 0 && bytes % size === 0) return `${bytes / size}${unit}`
  }
  return `${bytes}B`
}
