'use client'

import { PresenceProvider, useConnectionState } from 'presence-bridge/client/react'
import type { ReactNode } from 'react'

/** In an application the name is the session's, and `getToken` proves it. */
const options = { url: '/mqtt', user: 'alice' }

export function Connection({ children }: { children: ReactNode }) {
  return (
    <PresenceProvider options={options}>
      <State />
      {children}
    </PresenceProvider>
  )
}

function State() {
  const { state, message } = useConnectionState()
  return (
    <p id="state" title={message ?? undefined}>
      {state}
    </p>
  )
}
