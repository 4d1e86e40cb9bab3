import { randomUUID } from 'node:crypto'
import type { ServerCluster } from './cluster.ts'
import { connectClient } from './mqtt.ts'
import { isOffline, watch, type Message, type Reader } from './presence-reader.ts'

/** Looks for what readers at every broker are shown of one user. */
export interface Silence {
  /**
   * What anybody was shown of the user since this was called last, or since it came; by when every grace that
   * had begun is over.
   */
  shown(): Promise<readonly string[]>
}

/** Starts to read at every broker what there is about a user. */
export async function listenForSilence(
  { servers }: ServerCluster,
  user: string,
  rooms: readonly string[],
): Promise<Silence> {
  const filters = ['presence/users/#', ...rooms.map((room) => `presence/rooms/${room}/#`)]
  const readers = await Promise.all(servers.map((server) => watch(server, filters)))
  const seen = new Map<Reader, number>()

  /** Whether it is about the user: the room's whole state repeats him whatever happens. */
  function isAboutUser({ topic, text, retain }: Message): boolean {
    if (retain) return false
    return topic.includes(`/${user}`) || (topic.endsWith('/events') && text.includes(`"${user}"`))
  }

  return {
    async shown() {
      await Promise.all(
        servers.map(async (server) => {
          const marker = `marker-${randomUUID()}`
          const last = await connectClient(server, { user: marker })
          last.cut()
          await Promise.all(readers.map((reader) => reader.find(isOffline(marker), 20_000)))
        }),
      )
      return readers.flatMap((reader) => {
        const from = seen.get(reader) ?? 0
        seen.set(reader, reader.messages.length)
        const about = reader.messages.slice(from).filter(isAboutUser)
        return about.map(({ topic, text }) => `${topic} ${text}`)
      })
    },
  }
}
