import { expect } from 'chai'
import type { Page } from 'playwright-core'
import { SECRET, tokenFor } from '../e2e/security/tokens.ts'
import { startProgram, type Program } from '../helpers/process.ts'
import { isOffline, json, watch, type Reader } from '../helpers/presence-reader.ts'
import { hide, startBrowser } from './browser.ts'
import { isOnline, waitFor } from './page-state.ts'
import { startSite, type PageOptions, type Site } from './site.ts'

/** How long the tokens of these tests hold, in seconds. */
const LIFE_S = 4

/** Longer than three of them. */
const THREE_RENEWALS_MS = 3 * LIFE_S * 1000 + 2000

describe('a page whose tokens expire', function () {
  this.timeout(120_000)

  let program: Program
  let site: Site
  let reader: Reader

  beforeEach(async () => {
    program = await startProgram({ flags: ['--jwt-secret', SECRET] })
    site = await startSite(program.httpPort)
    const token = await tokenFor('reader', { claims: { admin: true, exp: inSeconds(300) } })
    reader = await watch(program, ['presence/users/#', 'presence/connections/#'], 0, token)
  })

  /** A page that gets its tokens from its own site. */
  function pageOf(user: string, options: PageOptions): string {
    const getToken = `(() => fetch('/token/${user}').then((answer) => answer.text()))`
    site.serve(`/token/${user}`, 'text/plain', () => freshToken(user))
    return site.page({ user, getToken, csp: '', ...options })
  }

  /** By which connection a user is present, as the broker names it. */
  async function connectionOf(page: Page, user: string): Promise<unknown> {
    const mark = Math.random()
    await page.evaluate(`presence.setData(${mark})`)
    const said = await reader.find(
      ({ topic, text }) => topic.includes(`/connections/${user}/`) && text.includes(String(mark)),
    )
    return json(said)['connection']
  }

  it('hands in new ones on the same connection, also while it is hidden and throttled', async () => {
    const browser = await startBrowser(['IntensiveWakeUpThrottling:grace_period_seconds/5'])
    const pages = new Map<string, Page>()
    for (const worker of ['dedicated', 'shared']) {
      for (const protocolVersion of [4, 5]) {
        const user = `${worker}-${protocolVersion}`
        const page = await browser.open(pageOf(user, { worker, protocolVersion }))
        await isOnline(page)
        pages.set(user, page)
      }
    }
    const connections = new Map<string, unknown>()
    for (const [user, page] of pages) connections.set(user, await connectionOf(page, user))
    expect(new Set(connections.values()).size).to.equal(4)

    await hide(browser)
    await sleep(8000)
    const all = [...pages.values()]
    const ticks = await Promise.all(all.map((page) => page.evaluate('ticks.length')))
    await sleep(THREE_RENEWALS_MS)
    const after = await Promise.all(all.map((page) => page.evaluate('ticks.length')))
    for (const [i, count] of after.entries()) {
      expect(Number(count) - Number(ticks[i])).to.be.at.most(2)
    }
    for (const [user, page] of pages) {
      expect(await connectionOf(page, user), user).to.equal(connections.get(user))
      expect(await page.evaluate(`states.map(({ state }) => state)`)).to.not.include('reconnecting')
      expect(reader.messages.filter(isOffline(user))).to.deep.equal([])
    }
    expect(site.upgrades).to.equal(4)
  })

  for (const protocolVersion of [4, 5]) {
    it(`says why when it gets none, and comes back with the next (version ${protocolVersion})`, async () => {
      const browser = await startBrowser()
      const backoff = { base: 100, cap: 500 }
      const page = await browser.open(pageOf('alice', { protocolVersion, backoff }))
      await isOnline(page)
      await page.evaluate(`
        globalThis.given = null
        globalThis.fetch = async () => {
          if (given === null) throw new Error('logged out')
          return new Response(given)
        }
      `)
      await waitFor(page, `presence.state.state === 'online' && presence.state.reason === 'token'`)
      expect(await page.evaluate('presence.state.message')).to.contain('logged out')

      // At its end the connection ends; whatever comes then is tried, but what has expired lets nobody in.
      const late = await reader.next(isOffline('alice'), 8000)
      expect(json(late)['reason']).to.equal('kicked')
      const ended = `states.find(({ state }) => state === 'reconnecting')`
      await waitFor(page, ended)
      expect(await page.evaluate(`${ended}.reason`)).to.equal('token')
      expect(await page.evaluate(`${ended}.message`)).to.contain('the token has expired')
      const old = await tokenFor('alice', { claims: { iat: inSeconds(-90), exp: inSeconds(-60) } })
      await page.evaluate(`given = ${JSON.stringify(old)}`)
      await waitFor(
        page,
        `presence.state.message?.includes('gave a token that has expired') && presence.state.failed > 3`,
      )
      expect(await page.evaluate('presence.state.state')).to.equal('reconnecting')
      await page.evaluate(`given = ${JSON.stringify(await freshToken('alice'))}`)
      await isOnline(page)
    })
  }

  it('goes on asking when the broker takes no token of another user, or none is any newer', async () => {
    const browser = await startBrowser()
    const backoff = { base: 50, cap: 100 }
    const page = await browser.open(pageOf('alice', { protocolVersion: 5, backoff }))
    await isOnline(page)
    const connection = await connectionOf(page, 'alice')
    site.serve('/token/alice', 'text/plain', () => freshToken('mallory'))
    await waitFor(page, `presence.state.message?.includes('does not take the new token')`)
    const same = await tokenFor('alice', { claims: { exp: inSeconds(1) } })
    site.serve('/token/alice', 'text/plain', async () => same)
    await waitFor(page, `presence.state.message?.includes('no longer than the one before')`)
    site.serve('/token/alice', 'text/plain', () => freshToken('alice'))
    await waitFor(page, `presence.state.reason === null`)
    await sleep(LIFE_S * 1000)
    expect(await connectionOf(page, 'alice')).to.equal(connection)
  })

  it('stops when a token that has not expired is refused', async () => {
    const browser = await startBrowser()
    const page = await browser.open(pageOf('alice', {}))
    await isOnline(page)
    const forged = await tokenFor('alice', { secret: 'another secret, that nobody here believes' })
    site.serve('/token/alice', 'text/plain', async () => forged)
    site.setNetwork(false)
    await waitFor(page, `presence.state.state === 'reconnecting'`)
    site.setNetwork(true)
    await waitFor(page, `presence.state.state === 'stopped'`)
    expect(await page.evaluate('presence.state.reason')).to.equal('refused')
  })
})

function freshToken(user: string): Promise<string> {
  return tokenFor(user, { claims: { exp: inSeconds(LIFE_S) } })
}

function inSeconds(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds
}

/** What is tested here is that nothing happens in this time. */
function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
