import { expect } from 'chai'
import { createConnectionIds } from '../../broker/connection-id.ts'
import type { Connection } from '../../broker/connection.ts'
import { causeOfError } from '../../broker/ends.ts'
import { identify } from '../../broker/identity.ts'
import { judgePublication } from '../../broker/presence/permissions.ts'
import { stampDocument } from '../../broker/presence/stamp.ts'
import { createConnectQueue } from '../../broker/sessions/connect-queue.ts'
import { DEFAULT_DOCUMENT_LIMITS } from '../../protocol/index.ts'

const alice = { user: 'alice', client: 'a/1', present: true, isBridge: false }

describe('who a client is', () => {
  const base = { clientId: 'laptop', isAssigned: false, username: undefined }

  it('is its user name', () => {
    const identity = identify({ ...base, username: 'alice' }, undefined)
    expect(identity).to.deep.equal({
      ok: true,
      value: { user: 'alice', client: 'laptop', present: true, isBridge: false },
    })
  })

  it('is its client id when it brings no user name, or an empty one', () => {
    for (const username of [undefined, '']) {
      const identity = identify({ ...base, username }, undefined)
      expect(identity.ok && identity.value.user).to.equal('laptop')
    }
  })

  it('is nobody when it brings neither', () => {
    const identity = identify({ ...base, isAssigned: true }, undefined)
    expect(identity.ok && identity.value.present).to.equal(false)
  })

  it('is present under an assigned client id when it brings a user name', () => {
    const identity = identify({ ...base, isAssigned: true, username: 'alice' }, undefined)
    expect(identity.ok && identity.value.present).to.equal(true)
  })

  it('is a bridge by the user name that was agreed on, and then not present', () => {
    const identity = identify({ ...base, username: 'b' }, 'b')
    expect(identity.ok && identity.value).to.include({ isBridge: true, present: false })
  })

  it('cannot be longer than 256 characters or ill-formed', () => {
    for (const id of ['x'.repeat(257), '\ud800']) {
      const identity = identify({ ...base, clientId: id }, undefined)
      expect(identity.ok ? '' : identity.error).to.match(
        /^expected a client id of 1 to 256 characters/,
      )
    }
  })
})

describe('what a client may publish', () => {
  const own = 'presence/connections/alice/a%2F1'
  const rows: readonly [topic: string, expected: 'allowed' | 'own-document' | 'refused'][] = [
    ['app/anything', 'allowed'],
    ['presencex/users/bob', 'allowed'],
    [own, 'own-document'],
    ['presence/connections/alice/a2', 'refused'],
    ['presence/connections/bob/a%2F1', 'refused'],
    ['presence/connections/alice/a/1', 'refused'],
    ['presence/users/alice', 'refused'],
    ['presence/users/alice/status', 'refused'],
    ['presence/rooms/lobby/events', 'refused'],
    ['presence/bridge/status', 'refused'],
    ['presence/brokers/b', 'refused'],
    ['presence/rollcall', 'refused'],
    ['presence/anything', 'refused'],
    ['presence', 'refused'],
    ['$SYS/broker/x', 'refused'],
    ['$presence/nowhere', 'refused'],
  ]
  for (const [topic, expected] of rows) {
    it(`${topic}: ${expected}`, () => {
      const permission = judgePublication('presence', topic, alice)
      expect(typeof permission === 'string' ? permission : 'refused').to.equal(expected)
    })
  }

  it('a bridge may write what people read, but nothing below $', () => {
    const bridge = { ...alice, isBridge: true }
    expect(judgePublication('presence', 'presence/users/bob', bridge)).to.equal('allowed')
    expect(judgePublication('presence', '$SYS/x', bridge)).to.have.property('refused')
  })
})

describe('the stamp on a document', () => {
  const connection = { id: 'c1', document: { status: 'online' } } as Connection
  const payloadOf = (payload: string): string => {
    const result = stampDocument(connection, Buffer.from(payload), 'b1', DEFAULT_DOCUMENT_LIMITS)
    return result.ok ? result.value : result.error
  }
  /** Without the number, which is another one each time. */
  const stamp = (payload: string): unknown => {
    const text = payloadOf(payload)
    if (!text.startsWith('{')) return text
    const { stamp: _, ...document } = JSON.parse(text) as { stamp: number }
    return document
  }

  it('names the connection and the broker, whatever the client said', () => {
    expect(
      stamp('{"status":"away","connection":"forged","broker":"forged","seq":2}'),
    ).to.deep.equal({
      status: 'away',
      connection: 'c1',
      broker: 'b1',
      seq: 2,
    })
  })

  it('takes away what only a broker may say', () => {
    const said =
      '{"status":"offline","reason":"kicked","ended":true,"lastSeen":"2020-01-01T00:00:00Z"}'
    expect(stamp(said)).to.deep.equal({
      status: 'offline',
      reason: 'closed',
      connection: 'c1',
      broker: 'b1',
    })
  })

  it('is a number that grows, whatever the client said', () => {
    const numbers = ['online', '{"status":"away","stamp":7}', 'offline'].map(
      (payload) => (JSON.parse(payloadOf(payload)) as { stamp: number }).stamp,
    )
    expect(numbers).to.deep.equal(numbers.toSorted((a, b) => a - b))
    expect(new Set(numbers).size).to.equal(3)
    expect(numbers[0]).to.be.above(7)
    expect(connection.document).not.to.have.property('stamp')
  })

  it('turns plain words into documents', () => {
    expect(stamp('OFFLINE')).to.include({ status: 'offline', reason: 'closed' })
    expect(stamp('')).to.include({ status: 'offline', reason: 'left' })
  })

  it('remembers what the documents come to', () => {
    stamp('{"status":"online","rooms":{"lobby":{}},"data":1}')
    stamp('{"status":"away"}')
    expect(connection.document).to.deep.include({ status: 'away', data: 1 })
    expect(connection.document.rooms?.has('lobby')).to.equal(true)
    stamp('{"status":"offline","reason":"unload"}')
    expect(connection.document.rooms?.has('lobby')).to.equal(true)
    stamp('offline')
    expect(connection.document.rooms).to.equal(undefined)
  })

  it('is refused with what was expected and what came', () => {
    expect(stamp('{"status":7}')).to.equal('expected status online, away or offline, got 7')
    const bytes = stampDocument(connection, Buffer.from([0xff]), 'b1', DEFAULT_DOCUMENT_LIMITS)
    expect(bytes.ok ? '' : bytes.error).to.equal('expected UTF-8, got other bytes')
    // It is not looked into.
    const large = Buffer.alloc(65_537, 0xff)
    const size = stampDocument(connection, large, 'b1', DEFAULT_DOCUMENT_LIMITS)
    expect(size.ok ? '' : size.error).to.equal('expected at most 65536 bytes, got 65537 bytes')
  })
})

describe('what an error of a connection says', () => {
  it('is timeout when the system cannot reach the peer', () => {
    expect(causeOfError(withCode('ETIMEDOUT'))).to.equal('timeout')
    expect(causeOfError(withCode('EHOSTUNREACH'))).to.equal('timeout')
  })

  it('is nothing more than a closed socket when the peer reset it', () => {
    expect(causeOfError(withCode('ECONNRESET'))).to.equal(undefined)
  })

  it('is error for everything else', () => {
    expect(causeOfError(new Error('Invalid protocol'))).to.equal('error')
    expect(causeOfError(withCode('WS_ERR_INVALID_OPCODE'))).to.equal('error')
  })

  function withCode(code: string): Error {
    return Object.assign(new Error(code), { code })
  }
})

describe('the connect queue', () => {
  it('lets one at a time in under one client id, in order, and others beside', () => {
    const queue = createConnectQueue()
    const order: string[] = []
    const leaves: (() => void)[] = []
    for (const name of ['first', 'second', 'third']) {
      queue.enter('a', (leave) => {
        order.push(name)
        leaves.push(leave)
      })
    }
    queue.enter('b', () => order.push('other'))
    expect(order).to.deep.equal(['first', 'other'])
    leaves[0]?.()
    leaves[0]?.()
    expect(order).to.deep.equal(['first', 'other', 'second'])
    leaves[1]?.()
    leaves[2]?.()
    expect(order).to.deep.equal(['first', 'other', 'second', 'third'])
    expect(queue.isBusy('a')).to.equal(false)
    expect(queue.isBusy('b')).to.equal(true)
  })
})

describe('connection ids', () => {
  it('sort by time, also within one millisecond and when the clock is set back', () => {
    let now = 1_700_000_000_000
    const next = createConnectionIds(() => now)
    const ids = [next(), next(), next()]
    now += 5
    ids.push(next())
    now -= 60_000
    ids.push(next(), next())
    expect(ids.toSorted()).to.deep.equal(ids)
    expect(new Set(ids).size).to.equal(ids.length)
  })
})
