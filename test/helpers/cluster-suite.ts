import { inScenario } from './teardown.ts'

/** Gives what all tests of a suite share; it is taken down behind the last one. */
export function shareInSuite<T>(create: () => Promise<T>): () => T {
  let shared: { readonly value: T } | undefined
  let release = (): void => {}
  let ended: Promise<void> | undefined

  before(async function () {
    this.timeout(60_000)
    const isOver = new Promise<void>((resolve) => (release = resolve))
    await new Promise<void>((resolve, reject) => {
      ended = inScenario(async () => {
        shared = { value: await create() }
        resolve()
        await isOver
      })
      ended.catch(reject)
    })
  })
  after(async () => {
    release()
    if (shared) await ended
  })
  return () => {
    if (!shared) throw new Error('what the suite shares is there only during its tests')
    return shared.value
  }
}
