/**
 * Runs an operation now and hands its outcome to `then` in the same tick.
 *
 * Aedes passes a retained or QoS > 0 message on after a promise of its store, and any other at once:
 * with real promises a plain message published right after a retained one overtakes it. A store that
 * is in memory has nothing to wait for, so its callbacks need not wait either, and order is kept.
 */
export function settle<T>(operation: () => T): Promise<T> {
  try {
    return new Settled<T>({ value: operation() })
  } catch (error) {
    return new Settled<T>({ error })
  }
}

/**
 * Waits for something that does not fail; then runs an operation and hands its outcome to `then` in one turn, as
 * {@link settle} does.
 */
export function settleAfter<T>(ready: Promise<void>, operation: () => T): Promise<T> {
  return new Settling(ready, operation)
}

type Outcome<T> = { readonly value: T } | { readonly error: unknown }

/** A promise whose callbacks run where they are attached; otherwise it behaves like a real one. */
class Settled<T> implements Promise<T> {
  readonly #outcome: Outcome<T>

  constructor(outcome: Outcome<T>) {
    this.#outcome = outcome
  }

  get [Symbol.toStringTag](): string {
    return 'Settled'
  }

  // Being a thenable is its purpose.
  // oxlint-disable-next-line unicorn/no-thenable
  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    const outcome = this.#outcome
    // Without a handler the outcome is passed on as it is; A is T then, or nothing was fulfilled.
    if ('value' in outcome) {
      return onFulfilled ? run(onFulfilled, outcome.value) : (this as unknown as Promise<A>)
    }
    return onRejected ? run(onRejected, outcome.error) : (this as unknown as Promise<B>)
  }

  catch<B = never>(onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.then(undefined, onRejected)
  }

  finally(onFinally?: (() => void) | null): Promise<T> {
    if (!onFinally) return this
    return this.then(
      (value) => run(onFinally, undefined).then(() => value),
      (reason) =>
        run(onFinally, undefined).then(() => {
          throw reason
        }),
    )
  }
}

/** A promise whose callbacks run in the turn in which it is fulfilled. */
class Settling<T> implements Promise<T> {
  #settled: Promise<T> | undefined
  readonly #waiting: ((settled: Promise<T>) => void)[] = []

  constructor(ready: Promise<void>, operation: () => T) {
    void this.#carryOut(ready, operation)
  }

  async #carryOut(ready: Promise<void>, operation: () => T): Promise<void> {
    await ready
    const settled = settle(operation)
    this.#settled = settled
    for (const callBack of this.#waiting) callBack(settled)
  }

  get [Symbol.toStringTag](): string {
    return 'Settling'
  }

  // Being a thenable is its purpose.
  // oxlint-disable-next-line unicorn/no-thenable
  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    if (this.#settled) return this.#settled.then(onFulfilled, onRejected)
    return new Promise((resolve) => {
      this.#waiting.push((settled) => resolve(settled.then(onFulfilled, onRejected)))
    })
  }

  catch<B = never>(onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.then(undefined, onRejected)
  }

  finally(onFinally?: (() => void) | null): Promise<T> {
    return this.then((value) => value).finally(onFinally)
  }
}

function run<A, R>(handler: (argument: A) => R | PromiseLike<R>, argument: A): Promise<R> {
  try {
    const result = handler(argument)
    return isThenable(result) ? Promise.resolve(result) : new Settled<R>({ value: result })
  } catch (error) {
    // A real rejection, so that a handler that throws is as loud as with a real promise.
    // oxlint-disable-next-line typescript/prefer-promise-reject-errors
    return Promise.reject(error)
  }
}

function isThenable<R>(result: R | PromiseLike<R>): result is PromiseLike<R> {
  return typeof (result as Partial<PromiseLike<R>> | undefined | null)?.then === 'function'
}
