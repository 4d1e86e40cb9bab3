import Link from 'next/link'

export default function Home() {
  return (
    <nav>
      <h1>Rooms</h1>
      <Link href="/rooms/lobby">lobby</Link> <Link href="/rooms/garden">garden</Link>
    </nav>
  )
}
