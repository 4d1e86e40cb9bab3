import { expect } from 'chai'
import { cp, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { build } from 'vite'
import { PACKAGE_ROOT, startProgram } from '../helpers/process.ts'
import { onTeardown } from '../helpers/teardown.ts'
import { startBrowser } from './browser.ts'
import { waitFor } from './page-state.ts'
import { startSite } from './site.ts'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
}

describe('the Vite example', function () {
  this.timeout(90_000)

  it('is built by Vite with its workers, and runs', async () => {
    const program = await startProgram()
    const site = await startSite(program.httpPort)
    const root = join(PACKAGE_ROOT, 'examples/vite')
    const out = await mkdtemp(join(tmpdir(), 'presence-vite-'))
    onTeardown(() => rm(out, { recursive: true, force: true }))
    await install(root)
    await build({ root, logLevel: 'warn', build: { outDir: out, emptyOutDir: true } })

    const built = await readdir(out, { recursive: true })
    expect(built.filter((name) => /worker/.test(name))).to.have.length.of.at.least(2)
    for (const name of built) {
      const type = TYPES[extname(name)]
      if (type) site.serve(`/${name}`, type, await readFile(join(out, name), 'utf8'))
    }
    const browser = await startBrowser()
    const page = await browser.open(`${site.origin}/index.html?user=alice`)
    await waitFor(page, `document.querySelector('#state').textContent === 'online (shared)'`)
    await waitFor(page, `document.querySelector('#members').textContent === 'alice is online'`)
    expect(site.upgrades).to.equal(1)
  })
})

/** As `npm install` would: the package's files, below node_modules. */
async function install(root: string): Promise<void> {
  const modules = join(root, 'node_modules')
  onTeardown(() => rm(modules, { recursive: true, force: true }))
  const target = join(modules, 'presence-bridge')
  await mkdir(target, { recursive: true })
  await cp(join(PACKAGE_ROOT, 'package.json'), join(target, 'package.json'))
  await cp(join(PACKAGE_ROOT, 'dist'), join(target, 'dist'), { recursive: true })
}
