/** How many are worked on at the same time. */
const SLICE = 200

/** Does something with every item, with some of them at a time. */
export async function inSlices<T>(
  items: readonly T[],
  run: (item: T) => Promise<unknown>,
): Promise<void> {
  for (let i = 0; i < items.length; i += SLICE) {
    await Promise.all(items.slice(i, i + SLICE).map(run))
  }
}
