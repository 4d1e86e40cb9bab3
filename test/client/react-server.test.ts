import { expect } from 'chai'
import { createElement, type ReactElement } from 'react'
import { renderToString } from 'react-dom/server'
import {
  PresenceProvider,
  useConnectionState,
  usePresence,
  useRoom,
  useUser,
} from '../../client/react/index.ts'

describe('the React hooks on a server', () => {
  it('render what is known before there is a connection, and touch no window', () => {
    function App(): ReactElement {
      const { members, size, fresh, room } = useRoom('lobby')
      const known = {
        members: members.size,
        size,
        fresh,
        room,
        user: useUser('bob'),
        presence: usePresence(),
      }
      return createElement('p', null, JSON.stringify([useConnectionState().state, known]))
    }
    const options = { url: 'wss://presence.example/mqtt', user: 'alice' }
    const html = renderToString(createElement(PresenceProvider, { options }, createElement(App)))
    expect(JSON.parse(html.slice(3, -4).replaceAll('&quot;', '"'))).to.deep.equal([
      'connecting',
      { members: 0, size: 0, fresh: false, room: null, user: null, presence: null },
    ])
  })
})
