// Who is in the lobby, in a page that Vite builds. The workers are found and bundled by Vite itself.
import { connectPresence } from 'presence-bridge/client'

const user = new URLSearchParams(location.search).get('user') ?? 'guest'
const presence = connectPresence({ url: '/mqtt', user })
const lobby = presence.room('lobby', { name: user })

presence.on('state', ({ state }) => show('state', `${state} (${presence.worker ?? 'starting'})`))
lobby.on('change', ({ members }) => {
  const names = [...members.values()].map((member) => {
    const item = document.createElement('li')
    item.textContent = `${member.user} is ${member.status}`
    return item
  })
  document.querySelector('#members')?.replaceChildren(...names)
})

function show(id: string, text: string): void {
  const element = document.querySelector(`#${id}`)
  if (element) element.textContent = text
}
