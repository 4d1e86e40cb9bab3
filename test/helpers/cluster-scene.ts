import { startCluster, type ServerCluster, type ServerClusterOptions } from './cluster.ts'
import {
  connectVisitor,
  observe,
  type Observer,
  type Visitor,
  type VisitorOptions,
} from './cluster-crowd.ts'
import { eventually } from './within.ts'

/** Several servers, people in the lobby at each of them, and an observer at each. */
export interface Scene {
  readonly cluster: ServerCluster
  readonly visitors: readonly Visitor[]
  readonly observers: readonly Observer[]
  /** The visitors at one server, as it was in the beginning. */
  visitorsAt(server: number): readonly Visitor[]
  /** Waits until every observer sees all these, and nobody else. */
  untilExact(online: readonly Visitor[], withinMs: number, by?: readonly Observer[]): Promise<void>
  /** What any observer was shown of some visitors since the scene was set. */
  shown(of: readonly Visitor[]): readonly string[]
}

/** How the scene is set. */
export interface SceneOptions extends ServerClusterOptions {
  readonly servers: number
  readonly visitors: number
  readonly visitor?: (user: string) => Partial<VisitorOptions>
}

/** Sets the scene: everybody is in the lobby, and everybody sees that. */
export async function setScene(options: SceneOptions): Promise<Scene> {
  const cluster = await startCluster(options.servers, options)
  const ports = (): readonly number[] => cluster.servers.map(({ mqttPort }) => mqttPort)
  const observers = await Promise.all(ports().map(observe))
  const visitors = await Promise.all(
    Array.from({ length: options.visitors }, (_, i) => {
      const user = `user-${i}`
      return connectVisitor({ user, ports, first: i, ...options.visitor?.(user) })
    }),
  )

  async function untilExact(
    online: readonly Visitor[],
    withinMs: number,
    by: readonly Observer[] = observers,
  ): Promise<void> {
    const here = online.map(({ user }) => user)
    const gone = visitors.map(({ user }) => user).filter((user) => !here.includes(user))
    const differences = (): string[] => by.flatMap((one) => one.differences(here, gone))
    await eventually('exact', () => differences().length === 0, withinMs).catch(
      (error: unknown) => {
        throw new Error(`presence is not exact:\n  ${differences().join('\n  ')}`, { cause: error })
      },
    )
  }

  await untilExact(visitors, 10_000)
  for (const observer of observers) observer.forget()
  return {
    cluster,
    visitors,
    observers,
    visitorsAt: (server) => visitors.filter((_, i) => i % options.servers === server),
    untilExact,
    shown(of) {
      const users = new Set(of.map(({ user }) => user))
      return observers.flatMap(({ offlineAt, moves }) => [
        ...[...offlineAt.keys()].filter((user) => users.has(user)).map((user) => `${user} offline`),
        ...moves.filter((move) => users.has(move.split(' ', 1)[0] ?? '')),
      ])
    },
  }
}
