import { expect } from 'chai'
import { createCloseHandler } from '../../client/demo/close-handler.ts'
import type { ConnectionDocument } from '../../protocol/index.ts'

const IN: ConnectionDocument = { status: 'online', rooms: new Map([['lobby', {}]]), seq: 0 }
const AGAIN: ConnectionDocument = { ...IN, seq: 3 }
const OUT: ConnectionDocument = { status: 'offline', reason: 'closed' }

describe('a close handler, as the demo page has it', () => {
  // What is heard of one connection, whether its user is a member already, and what it would tell.
  const cases: readonly [string, boolean, ConnectionDocument[], (string | null)[]][] = [
    ['tells every opening and every close', false, [IN, OUT, IN], ['came', 'went', 'came']],
    ['tells nothing when the same is said again', false, [IN, AGAIN], ['came', null]],
    ['tells of who comes back within the grace', true, [IN], ['came']],
    ['has nothing to tell of who was there before', true, [AGAIN, OUT, OUT], [null, 'went', null]],
    ['tells the return of who was there before', true, [OUT, AGAIN], ['went', 'came']],
    ['does not care for other rooms', false, [{ ...IN, rooms: new Map() }, OUT], [null, null]],
  ]
  for (const [title, isMember, documents, told] of cases) {
    it(title, () => {
      const handler = createCloseHandler()
      expect(
        documents.map((document) => handler.hear('bob', 'b1', document, 'lobby', isMember)),
      ).to.deep.equal(told)
    })
  }
})
