// Bundles the browser client into files that a page can load as they are, without a build of its own.
import { build, type BuildOptions, type Plugin } from 'esbuild'
import { copyFile, readFile } from 'node:fs/promises'

const OUT = 'dist/client'

const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string }

/** What is a file of its own, beside the one that imports it. */
const apart: Plugin = {
  name: 'apart',
  setup(plugins) {
    const files = { '../engine/page.ts': './client.engine.js', '../index.ts': './client.js' }
    for (const [source, path] of Object.entries(files)) {
      const filter = new RegExp(`^${source.replaceAll('.', '\\.')}$`)
      plugins.onResolve({ filter }, () => ({ path, external: true }))
    }
  },
}

const shared: BuildOptions = {
  bundle: true,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  minify: true,
  sourcemap: 'linked',
  define: {
    // mqtt.js asks for it, although its browser build needs none.
    'process.env.NODE_ENV': '"production"',
    // Parts of mqtt.js can be AMD modules, too; Turbopack would look for what those depend on.
    define: 'undefined',
    CLIENT_VERSION: JSON.stringify(version),
  },
  logLevel: 'warning',
}

/** The engine, three times: each worker has to be one file, for bundlers and for policies. */
const engines = {
  'client.worker': 'client/engine/dedicated.ts',
  'client.shared-worker': 'client/engine/shared.ts',
  'client.engine': 'client/engine/page.ts',
}

await build({ ...shared, entryPoints: engines, outdir: OUT })

await build({
  ...shared,
  entryPoints: { client: 'client/index.ts' },
  outdir: OUT,
  plugins: [apart],
})

const worker = await readFile(`${OUT}/client.worker.js`, 'utf8')
const source = JSON.stringify(worker.replace(/\/\/# sourceMappingURL=.*/, ''))
await build({
  ...shared,
  entryPoints: { 'client.inline': 'client/inline.ts' },
  outdir: OUT,
  plugins: [apart],
  define: { ...shared.define, WORKER_SOURCE: source },
})

await build({
  ...shared,
  entryPoints: { 'client.react': 'client/react/index.ts' },
  outdir: OUT,
  external: ['react'],
  plugins: [apart],
})

// The page at `/`, made with the client beside it.
await build({
  ...shared,
  entryPoints: { demo: 'client/demo/demo.ts' },
  outdir: OUT,
  external: ['./client.js'],
  plugins: [apart],
})
for (const file of ['demo.html', 'demo.css', 'demo.worker.js']) {
  await copyFile(`client/demo/${file}`, `${OUT}/${file}`)
}
