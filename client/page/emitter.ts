/** Listens to an event; the result stops it. */
export type Listen<Events> = <Name extends keyof Events>(
  name: Name,
  listener: (event: Events[Name]) => void,
) => () => void

/** Listeners by event. A listener that throws hinders nobody; the error reaches the window. */
export interface Emitter<Events> {
  /** Listens; the result stops it. */
  readonly on: Listen<Events>
  readonly emit: <Name extends keyof Events>(name: Name, event: Events[Name]) => void
}

/** Creates an emitter. */
export function createEmitter<Events>(): Emitter<Events> {
  const listeners = new Map<keyof Events, Set<(event: never) => void>>()
  return {
    on(name, listener) {
      const all = listeners.get(name) ?? new Set()
      listeners.set(name, all)
      // Wrapped, so that a listener that is added twice is there twice.
      const own = (event: never): void => listener(event)
      all.add(own)
      return () => void all.delete(own)
    },
    emit(name, event) {
      for (const listener of listeners.get(name) ?? []) {
        guard(() => listener(event as never))
      }
    },
  }
}

/** Calls foreign code: what it throws reaches the window, and hinders nobody here. */
export function guard(call: () => void): void {
  try {
    call()
  } catch (error) {
    reportError(error)
  }
}
