import type { ReactNode } from 'react'
import { Connection } from './connection'

export const metadata = { title: 'Presence in a Next.js application' }

/** The layout stays while pages come and go, and the connection with it. */
export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body>
        <Connection>{children}</Connection>
      </body>
    </html>
  )
}
