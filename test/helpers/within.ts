/** Waits for something that has to happen in time; rejects with its description when it does not. */
export function within<T>(ms: number, what: string, wanted: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`expected within ${ms} ms: ${what}`)), ms)
    wanted.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/** Looks again and again until something is true. For states that tell nobody when they change. */
export async function eventually(
  what: string,
  isTrue: () => boolean | Promise<boolean>,
  ms = 5000,
): Promise<void> {
  const until = performance.now() + ms
  while (!(await isTrue())) {
    if (performance.now() > until) throw new Error(`expected within ${ms} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
