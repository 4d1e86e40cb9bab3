import { expect } from 'chai'
import { startProgram } from '../helpers/process.ts'
import { isOffline, json, watch, type Message } from '../helpers/presence-reader.ts'
import { hide, startBrowser } from './browser.ts'
import { isOnline } from './page-state.ts'
import { startSite } from './site.ts'

describe('a user is away', function () {
  this.timeout(60_000)

  for (const worker of ['dedicated', 'shared'] as const) {
    it(`when the page is hidden, or nobody touches it, and back when it is seen (${worker})`, async () => {
      const program = await startProgram()
      const site = await startSite(program.httpPort)
      const reader = await watch(program, 'presence/users/alice')
      const browser = await startBrowser()
      const away = { hidden: '1s', idle: '4s' }
      const page = await browser.open(site.page({ worker, user: 'alice', away }))
      await isOnline(page)
      await reader.next(is('online'))

      const other = await hide(browser)
      await reader.next(is('away'))
      await page.bringToFront()
      await reader.next(is('online'))
      await reader.next(is('away'), 6000)
      await page.mouse.move(10, 10)
      await page.mouse.move(20, 20)
      await reader.next(is('online'))

      await page.evaluate(`presence.setStatus('away')`)
      await reader.next(is('away'))
      await page.evaluate(`presence.setStatus('online')`)
      await reader.next(is('online'))
      await other.bringToFront()
      await new Promise((resolve) => setTimeout(resolve, 2000))
      await reader.caughtUp()
      expect(json(reader.messages.at(-1) ?? { text: '{}' })['status']).to.equal('online')
      expect(reader.messages.filter(isOffline('alice'))).to.deep.equal([])
    })
  }
})

function is(status: string): (message: Message) => boolean {
  return (message) => json(message)['status'] === status
}
