import { expect } from 'chai'
import type { Link } from '../../bridge/index.ts'
import { createWitness, type Witness } from '../../bridge/witness.ts'
import { createTopics } from '../../protocol/index.ts'
import { ManualClock } from '../helpers/manual-clock.ts'

/** Who answers a ping, and when, in milliseconds: `null` is the link's own broker. */
type Answers = ReadonlyMap<string | null, number>

describe('who is asked before anything is concluded from silence', () => {
  let clock: ManualClock
  let witness: Witness
  let beating: string[]
  let answers: Answers
  let isDown: boolean
  /** When pings were sent. */
  let sent: number[]

  beforeEach(async () => {
    clock = new ManualClock(0)
    beating = ['b1']
    isDown = false
    sent = []
    answers = new Map([
      [null, 1],
      ['b1', 2],
    ])
    const link: Pick<Link, 'publish'> = {
      async publish(topic, payload) {
        expect(topic).to.equal('presence/ping')
        if (isDown) throw new Error('the link is down')
        sent.push(clock.now())
        const { ping } = JSON.parse(payload) as { ping: string }
        for (const [broker, ms] of answers) {
          clock.after(ms, () =>
            broker === null ? witness.echoed(ping) : witness.heard(broker, ping),
          )
        }
      },
    }
    witness = createWitness({
      id: 'x',
      link: link as Link,
      topics: createTopics(),
      clock,
      beating: () => beating,
    })
    witness.restart()
    witness.heard('b1', undefined)
    await clock.advance(10)
    sent = []
  })

  /** Asks at a time after the start; resolves to who has not answered, and after how long that is known. */
  async function askAt(second: number): Promise<[string, number]> {
    await clock.advance(second * 1000 - clock.now())
    const since = clock.now()
    let found: [string, number] | undefined
    void witness.ask().then((silent) => {
      found = [[...silent].map(String).join(), clock.now() - since]
      return undefined
    })
    for (let ms = 0; ms < 3000 && !found; ms += 1) await clock.advance(ms < 20 ? 1 : 100)
    if (!found) throw new Error('there is no answer')
    return found
  }

  it('vouches at once when all answer', async () => {
    const [silent, ms] = await askAt(1)
    expect(silent).to.equal('')
    expect(ms).to.be.below(10)
  })

  const cases: readonly { title: string; only: Answers; silent: string }[] = [
    { title: 'a broker that is stuck', only: new Map([[null, 1]]), silent: 'b1' },
    { title: 'a broker that is late', only: new Map([[null, 1], ['b1', 1300]]), silent: 'b1' }, // prettier-ignore
    { title: 'the way to all of them', only: new Map(), silent: 'null,b1' },
  ]
  for (const { title, only, silent } of cases) {
    it(`finds ${title} within a second`, async () => {
      answers = only
      const [found, ms] = await askAt(1)
      expect(found).to.equal(silent)
      expect(ms).to.be.within(1000, 1200)
    })
  }

  it('waits for nobody who is known to be stuck, and asks those again five times a second at most', async () => {
    answers = new Map()
    await askAt(1)
    sent = []
    for (let i = 0; i < 20; i++) {
      const [silent, ms] = await askAt(3 + i / 20)
      expect(silent).to.equal('null,b1')
      expect(ms).to.be.below(10)
    }
    expect(sent).to.have.length.within(3, 6)
  })

  it('waits for the others at most as long as they need', async () => {
    answers = new Map([[null, 1]])
    await askAt(1)
    const [silent, ms] = await askAt(4)
    expect(silent).to.equal('b1')
    expect(ms).to.be.below(10)
  })

  it('gives who was stuck 1.5 s to tell what it has to say', async () => {
    answers = new Map([[null, 1]])
    await askAt(1)
    answers = new Map([[null, 1], ['b1', 2]]) // prettier-ignore
    expect((await askAt(4))[0]).to.equal('b1')
    expect((await askAt(5))[0]).to.equal('b1')
    expect((await askAt(6))[0]).to.equal('')
  })

  it('takes an answer to an earlier ping for no answer to a later one', async () => {
    answers = new Map([[null, 1], ['b1', 2500]]) // prettier-ignore
    await askAt(1)
    answers = new Map([[null, 1]])
    expect((await askAt(3.4))[0]).to.equal('b1')
    await clock.advance(3000)
    expect((await askAt(7))[0]).to.equal('b1')
  })

  it('needs nobody who has never answered, or beats no longer', async () => {
    beating = ['b1', 'old']
    witness.heard('old', undefined)
    await clock.advance(10)
    expect(await askAt(1)).to.deep.equal(['', (await askAt(2))[1]])
    beating = []
    answers = new Map([[null, 1]])
    const [silent, ms] = await askAt(3)
    expect(silent).to.equal('')
    expect(ms).to.be.below(10)
  })

  it('knows nothing while nothing can be asked', async () => {
    isDown = true
    const [silent, ms] = await askAt(1)
    expect(silent).to.equal('null,b1')
    expect(ms).to.be.below(10)
    isDown = false
    witness.restart()
    await clock.advance(10)
    expect((await askAt(2))[0]).to.equal('')
  })
})
