import { expect } from 'chai'
import type { Page } from 'playwright-core'
import { startProgram } from '../helpers/process.ts'
import { startBrowser } from './browser.ts'
import { bundle } from './site.ts'

describe('the demo page', function () {
  this.timeout(90_000)
  beforeEach(bundle)

  it('shows who comes, who is held and why, who left and why, and says less than a close handler', async () => {
    const program = await startProgram({ flags: ['--grace-closed', '3s', '--grace-timeout', '2s'] })
    const at = (name: string): string =>
      `http://127.0.0.1:${program.httpPort}/#name=${name}&room=lobby`
    const browser = await startBrowser()
    const ada = await browser.open(at('Ada'))
    const errors: string[] = []
    ada.on('pageerror', (error) => errors.push(error.message))
    await ada.getByText('You are Ada, in lobby.').waitFor()
    expect(await ada.locator('#bridge').textContent()).to.equal('presence is fresh')

    const bob = await browser.open(at('Bob'))
    await bob.getByText('You are Bob, in lobby.').waitFor()
    await line(ada, 'Bob', '').waitFor()
    await ada.locator('#feed li p:nth-child(2)', { hasText: 'Bob joined' }).waitFor()

    // A reload: a close handler would have told two things, nobody is told anything.
    await bob.locator('[data-way=reload]').click()
    await bob.getByText('You are Bob, in lobby.').waitFor()
    await ada.locator('#feed li p:nth-child(1)', { hasText: 'Bob left' }).first().waitFor()
    expect(await ada.locator('#feed .gone', { hasText: /Bob left (\(|after)/ }).count()).to.equal(0)

    // A closed socket: held with the grace running down, then gone with the reason.
    await bob.locator('[data-way=close]').click()
    await line(ada, 'Bob', 'closed: held for another').waitFor()
    await ada.locator('#feed', { hasText: 'Bob left (closed)' }).waitFor()

    // Frozen: silent until the keepalive is late, then the grace; and back afterwards.
    await bob.locator('#join-button').click()
    await bob.getByText('You are Bob, in lobby.').waitFor()
    await bob.locator('[data-way=freeze]').click()
    await line(ada, 'Bob', 'timeout: held for another').waitFor()
    await ada.locator('#feed', { hasText: 'Bob left (timeout)' }).waitFor()
    await ada.locator('#count', { hasText: '2' }).waitFor({ timeout: 30_000 })

    await bob.locator('[data-way=leave]').click()
    await ada.locator('#feed', { hasText: 'Bob left after' }).waitFor()
    const told = Number(await ada.locator('#told-count').textContent())
    const naive = Number(await ada.locator('#naive-count').textContent())
    expect(naive).to.be.greaterThan(told)
    expect(errors).to.deep.equal([])
  })

  it('is used with the keyboard alone', async () => {
    const program = await startProgram()
    const browser = await startBrowser()
    const page = await browser.open(`http://127.0.0.1:${program.httpPort}/`)
    await page.locator('#bridge.online').waitFor()
    await page.keyboard.press('Tab')
    await page.keyboard.press('ControlOrMeta+a')
    await page.keyboard.type('Kim')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.getByText('You are Kim, in lobby.').waitFor()
    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.getByText('You have left.').waitFor()
  })

  it('shows who is away, to others and to whoever it is', async () => {
    const program = await startProgram()
    const browser = await startBrowser()
    const page = await browser.open(`http://127.0.0.1:${program.httpPort}/#name=Eve&room=lobby`)
    // The first one to come is news as well.
    await page.locator('#feed li p:nth-child(2)', { hasText: 'Eve joined' }).waitFor()
    const away = page.getByRole('button', { name: 'Away', pressed: true })
    await page.getByRole('button', { name: 'Away', pressed: false }).click()
    await away.waitFor()
    await line(page, 'Eve', 'away since').waitFor()
    await away.click()
    await page.getByText('You are back.').waitFor()
    await line(page, 'Eve', 'here since').waitFor()
    expect(await away.count()).to.equal(0)
    // Everything has the same clock.
    const clock = /\b\d\d:\d\d:\d\d\b/
    expect(await line(page, 'Eve', 'here since').textContent()).to.match(clock)
    expect(await page.locator('#feed time').first().textContent()).to.match(clock)
  })

  it('shows a name as text, whatever it is', async () => {
    const program = await startProgram()
    const browser = await startBrowser()
    const name = '<img src=x onerror=alert(1)>'
    const page = await browser.open(
      `http://127.0.0.1:${program.httpPort}/#name=${encodeURIComponent(name)}&room=lobby`,
    )
    await page.locator('#members b', { hasText: name }).waitFor()
    expect(await page.locator('#members img').count()).to.equal(0)
  })
})

function line(page: Page, user: string, text: string): ReturnType<Page['locator']> {
  return page.locator(`#members li[data-user="${user}"]`, { hasText: text })
}
