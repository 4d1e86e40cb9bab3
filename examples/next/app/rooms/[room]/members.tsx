'use client'

import { useRoom } from 'presence-bridge/client/react'

export function Members({ room }: { room: string }) {
  const { members, fresh } = useRoom(room, { page: room })
  return (
    <ul id="members" style={{ opacity: fresh ? 1 : 0.5 }}>
      {[...members.values()].map(({ user, status }) => (
        <li key={user}>
          {user} is {status}
        </li>
      ))}
    </ul>
  )
}
