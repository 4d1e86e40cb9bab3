'use client'

/**
 * Presence for React 18 and 19.
 *
 * @module
 */
import {
  createContext,
  createElement,
  useContext,
  useEffect,
  useRef,
  useState,
  type ReactElement,
  type ReactNode,
} from 'react'
import {
  connectPresence,
  type ConnectionState,
  type Json,
  type Member,
  type Presence,
  type PresenceOptions,
  type Room,
  type UserDocument,
} from '../index.ts'
import { shareRoom, shareUser } from './shares.ts'

const PresenceContext = createContext<Presence | null>(null)

/** What `PresenceProvider` takes. */
export interface PresenceProviderProps {
  /** Connects anew when one of them changes; of functions always the newest is called. */
  readonly options: PresenceOptions
  readonly children?: ReactNode
}

/** A room as a component sees it. */
export interface RoomView {
  readonly members: ReadonlyMap<string, Member>
  readonly size: number
  readonly complete: boolean
  readonly fresh: boolean
  /** The room itself; null on a server and before the first effect. */
  readonly room: Room | null
}

const CONNECTING: ConnectionState = {
  state: 'connecting',
  reason: null,
  message: null,
  failed: 0,
  retryAt: null,
}
const EMPTY: RoomView = { members: new Map(), size: 0, complete: false, fresh: false, room: null }

/** Connects when it is mounted, in a browser only, and leaves when it is unmounted. */
export function PresenceProvider({ options, children }: PresenceProviderProps): ReactElement {
  const [presence, setPresence] = useState<Presence | null>(null)
  const newest = useRef(options)
  const leaving = useRef<{ readonly of: string; cancel(): Presence } | null>(null)
  const key = JSON.stringify(options)
  useEffect(() => {
    newest.current = options
  })
  useEffect(() => {
    // Strict mode unmounts and mounts again in one go: the connection is the same one.
    const kept = leaving.current?.of === key ? leaving.current.cancel() : null
    const connected = kept ?? connect(() => newest.current)
    setPresence(connected)
    return () => {
      const timer = setTimeout(() => {
        leaving.current = null
        void connected.leave()
      })
      leaving.current = {
        of: key,
        cancel() {
          clearTimeout(timer)
          leaving.current = null
          return connected
        },
      }
    }
  }, [key])
  return createElement(PresenceContext.Provider, { value: presence }, children)
}

function connect(newest: () => PresenceOptions): Presence {
  const options = newest()
  if (!options.getToken) return connectPresence(options)
  return connectPresence({ ...options, getToken: async () => (await newest().getToken?.()) ?? '' })
}

/** The connection itself; null on a server and before the first effect. */
export function usePresence(): Presence | null {
  return useContext(PresenceContext)
}

/** Joins a room as long as the component is mounted; several components share it. Null joins none. */
export function useRoom(name: string | null, data: Json = {}): RoomView {
  const presence = usePresence()
  const [view, setView] = useState<RoomView>(EMPTY)
  const newest = useRef(data)
  const key = JSON.stringify(data)
  useEffect(() => {
    newest.current = data
  })
  useEffect(() => {
    if (!presence || name === null) return
    const { of: room, release } = shareRoom(presence, name, newest.current)
    const show = (): void => setView(viewOf(room))
    const stop = room.on('change', show)
    show()
    return () => {
      stop()
      release()
    }
  }, [presence, name])
  const { room } = view
  useEffect(() => {
    if (room?.joined && JSON.stringify(room.data) !== key) presence?.room(room.name, newest.current)
  }, [presence, room, key])
  return room?.name === name ? view : EMPTY
}

/** What is published of a user; null while nothing is known. */
export function useUser(name: string): UserDocument | null {
  const presence = usePresence()
  const [document, setDocument] = useState<UserDocument | null>(null)
  useEffect(() => {
    if (!presence) return
    const { of: user, release } = shareUser(presence, name)
    const show = (): void => setDocument(user.document)
    const stop = user.on('change', show)
    show()
    return () => {
      stop()
      release()
    }
  }, [presence, name])
  return document?.user === name ? document : null
}

/** What the connection is doing. */
export function useConnectionState(): ConnectionState {
  const presence = usePresence()
  const [state, setState] = useState<ConnectionState>(CONNECTING)
  useEffect(() => {
    if (!presence) return
    setState(presence.state)
    return presence.on('state', setState)
  }, [presence])
  return presence ? state : CONNECTING
}

function viewOf(room: Room): RoomView {
  const { members, size, complete, fresh } = room
  return { members, size, complete, fresh, room }
}
