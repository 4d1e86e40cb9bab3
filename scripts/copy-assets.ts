// tsc emits only what it compiles. Whatever a module reads from beside itself at run time is copied
// here, to the same place below dist/.
import { cp, readdir } from 'node:fs/promises'
import { extname, join } from 'node:path'

const FOLDERS = ['protocol', 'runtime', 'broker', 'bridge', 'server']
const EXTENSIONS = new Set(['.lua'])

for (const folder of FOLDERS) {
  for (const file of await readdir(folder, { recursive: true })) {
    if (EXTENSIONS.has(extname(file))) await cp(join(folder, file), join('dist', folder, file))
  }
}
