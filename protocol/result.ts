/** What a `parse*` function returns: the value, or one sentence that says what was expected and what came. */
export type Result<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: string }

/** A successful result. */
export function success<T>(value: T): Result<T> {
  return { ok: true, value }
}

/** A failed result. */
export function failure(error: string): Result<never> {
  return { ok: false, error }
}

/** A short, safe rendering of a foreign value for an error sentence: at most 60 characters, no line breaks. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing'
  const text =
    typeof value === 'string' ? JSON.stringify(value) : (JSON.stringify(value) ?? typeof value)
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}
