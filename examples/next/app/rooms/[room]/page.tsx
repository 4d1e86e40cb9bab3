import Link from 'next/link'
import { Members } from './members'

/** Leaving this page is leaving the room. */
export default async function RoomPage({ params }: { params: Promise<{ room: string }> }) {
  const room = decodeURIComponent((await params).room)
  return (
    <main>
      <h1>In the {room}</h1>
      <Members room={room} />
      <Link href="/">home</Link> <Link href="/rooms/lobby">lobby</Link>{' '}
      <Link href="/rooms/garden">garden</Link>
    </main>
  )
}
