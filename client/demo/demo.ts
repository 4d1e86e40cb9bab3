import { parseConnectionDocument, parseTopic } from '../../protocol/index.ts'
import { connectPresence, type Presence, type Room } from '../index.ts'
import { byId } from './by-id.ts'
import { createCloseHandler } from './close-handler.ts'
import { createFeed } from './feed.ts'
import { createMemberList } from './member-list.ts'
import { loadSettings } from './settings.ts'
import { createVisitor, takeReloaded, type Way } from './visitor.ts'

/*
 * The demo: a visitor who comes and goes in every way there is, and beside it, over a connection of its
 * own, what the others are told.
 */

/** How long who comes back waits until the page knows the room, in milliseconds. */
const HEARD_WITHIN_MS = 2000

const settings = await loadSettings()
const { root, grace } = settings
const form = byId('join', HTMLFormElement)
const name = byId('name', HTMLInputElement)
const room = byId('room', HTMLInputElement)
const state = byId('state', HTMLElement)
const ways = byId('ways', HTMLElement)
const joinButton = byId('join-button', HTMLButtonElement)
const awayButton = byId('away-button', HTMLButtonElement)

for (const place of document.querySelectorAll<HTMLElement>('[data-grace]')) {
  const ms = grace[place.dataset['grace'] ?? ''] ?? 0
  place.textContent = `${ms / 1000}\u00a0s`
}

const feed = createFeed()
// Nobody is here to see the own socket close while the page reloads.
const reloaded = takeReloaded()
if (reloaded !== null) feed.naive('gone', `${reloaded} left`)
const members = createMemberList(grace)
const closeHandler = createCloseHandler()
const visitor = createVisitor(({ text, isIn, isAway }) => {
  state.textContent = text
  ways.hidden = !isIn
  joinButton.textContent = isIn ? 'Change' : 'Join'
  awayButton.ariaPressed = String(isAway)
})

// The name and the room are in the address, so that a reload, and a second tab, come back as they were.
const remembered = new URLSearchParams(location.hash.slice(1))
name.value = remembered.get('name') ?? `Guest ${Math.floor(100 + Math.random() * 900)}`
room.value = remembered.get('room') ?? 'lobby'
let audience = look(room.value)
if (remembered.has('name')) joinWhenHeard()

form.addEventListener('submit', (event) => {
  event.preventDefault()
  join()
})

/** Comes when there is somebody to hear it: what the others are told is heard by this very page. */
function joinWhenHeard(): void {
  let isIn = false
  const joinOnce = (): void => {
    if (!isIn) join()
    isIn = true
  }
  const { view } = audience
  const stop = view.on('change', () => {
    if (!view.complete) return
    stop()
    joinOnce()
  })
  setTimeout(joinOnce, HEARD_WITHIN_MS)
}

function join(): void {
  const hash = new URLSearchParams({ name: name.value, room: room.value })
  history.replaceState(null, '', `#${hash}`)
  if (audience.room !== room.value) {
    void audience.presence.leave()
    members.clear()
    audience = look(room.value)
  }
  visitor.come(name.value, room.value)
}

ways.addEventListener('click', ({ target }) => {
  const way =
    target instanceof Element ? target.closest<HTMLElement>('[data-way]')?.dataset['way'] : null
  if (way) visitor.go(way as Way)
})

/** Who watches a room, over a connection of its own. */
interface Audience {
  readonly room: string
  readonly presence: Presence
  readonly view: Room
}

/** Watches a room as anybody could, and what a close handler would have made of it. */
function look(watched: string): Audience {
  const presence = connectPresence({ url: '/mqtt', worker: 'dedicated', root, away: false })
  const view = presence.watch(watched)
  view.on('change', () => members.show(view.members))
  view.on('join', ({ user }) => feed.told('joined', `${user} joined`))
  view.on('update', (member) => {
    const seat = member.status === 'away' ? 'is away' : 'is here'
    feed.told('silence', `${member.user} ${seat}`)
  })
  view.on('leave', ({ user, reason, last }) => {
    // Who says goodbye leaves; of anybody else it is told why.
    const why = reason === 'left' ? '' : ` (${reason ?? 'gone'})`
    members.left(user, `has left${why}`)
    const seconds = Math.round((Date.now() - Date.parse(last.since)) / 1000)
    feed.told('gone', `${user} left${why} after ${seconds}\u00a0s`)
  })
  presence.subscribe(`${root}/connections/+/+`, ({ topic, text }) => {
    const parsed = parseTopic(root, topic)
    const document = parseConnectionDocument(text())
    if (parsed?.kind !== 'connection' || !document.ok) return
    const { user, client } = parsed
    const seen = closeHandler.hear(user, client, document.value, watched, view.members.has(user))
    if (seen === 'came') feed.naive('joined', `${user} joined`)
    else if (seen === 'went') feed.naive('gone', `${user} left`)
    members.hear(user, client, document.value)
  })
  presence.subscribe(`${root}/bridge/status`, ({ text }) => showBridge(text()))
  presence.on('state', (now) => {
    if (now.state !== 'online') showBridge(now.state)
  })
  return { room: watched, presence, view }
}

function showBridge(text: string): void {
  const pill = byId('bridge', HTMLElement)
  pill.textContent = text === 'online' ? 'presence is fresh' : text
  pill.className = text === 'online' ? 'pill online' : 'pill'
}
