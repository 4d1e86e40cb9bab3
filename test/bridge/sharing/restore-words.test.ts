import { expect } from 'chai'
import { closeBefore, createHeard, printOf } from '../../../bridge/sharing/heard.ts'
import { formatHeard, parseRecord } from '../../../bridge/store/redis/user-record.ts'

describe('the last word of a client that a store is given back', () => {
  const heard = createHeard(() => 1000)
  const say = (connection: string, stamp: number, client = 'tab') =>
    printOf(client, { status: 'online', broker: 'b', connection, stamp })

  it('stands for all that the client has said before, over earlier connections too', () => {
    const word = say('c3', 5)
    const log = (heard.judge('ann', word, undefined) ?? []).map((one) => closeBefore(one, word))
    const judge = (print: ReturnType<typeof say>): boolean =>
      heard.judge('ann', print, {
        state: { connections: [] } as never,
        revision: 1,
        heard: log,
      }) !== undefined
    expect([judge(say('c2', 4)), judge(say('c3', 5))]).to.deep.equal([false, false])
    expect([judge(say('c3', 6)), judge(say('d1', 2, 'phone'))]).to.deep.equal([true, true])
  })

  it('may be said once more when it did not count as a whole, and nothing before it', () => {
    const word = say('c3', 5)
    const log = (heard.judge('ann', word, undefined) ?? []).map((one) =>
      closeBefore(one, word, false),
    )
    // As a store gives it back.
    const stored = parseRecord(`1 x\n${formatHeard(log)}\n{"connections":[]}`)
    const judge = (print: ReturnType<typeof say>): boolean =>
      heard.judge('ann', print, stored) !== undefined
    expect([judge(say('c3', 4)), judge(say('c2', 4))]).to.deep.equal([false, false])
    expect([judge(say('c3', 5)), judge(say('c3', 6))]).to.deep.equal([true, true])
  })
})
