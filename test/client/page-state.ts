import type { Page } from 'playwright-core'

/** Resolves when the page's connection is up. */
export async function isOnline(page: Page, timeout = 10_000): Promise<void> {
  await waitFor(page, `globalThis.presence?.state.state === 'online'`, timeout)
}

/** Resolves when the page shows exactly these members of a room, and says that they are current. */
export async function membersOf(
  page: Page,
  room: string,
  users: readonly string[],
  timeout = 10_000,
): Promise<void> {
  const wanted = JSON.stringify([...users].toSorted())
  await waitFor(
    page,
    `rooms[${JSON.stringify(room)}].fresh && JSON.stringify([...rooms[${JSON.stringify(room)}].members.keys()].sort()) === ${JSON.stringify(wanted)}`,
    timeout,
  )
}

/** Looks again and again, also where the page's own timers are throttled. */
export async function waitFor(page: Page, expression: string, timeout = 10_000): Promise<void> {
  const until = performance.now() + timeout
  for (;;) {
    const value: unknown = await page.evaluate(`Boolean(${expression})`).catch(() => false)
    if (value === true) return
    if (performance.now() > until) {
      const state: unknown = await page
        .evaluate(
          `JSON.stringify({ states: globalThis.states?.slice(-5), events: globalThis.events?.slice(-20), worker: globalThis.presence?.worker, rooms: Object.values(globalThis.rooms ?? {}).map((r) => [r.name, r.fresh, r.size, [...r.members.keys()]]) })`,
        )
        .catch(String)
      throw new Error(`expected within ${timeout} ms: ${expression}; got ${String(state)}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
