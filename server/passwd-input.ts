import { failure, success, type Result } from '../protocol/index.ts'

const { stdin, stderr } = process

/** Reads a password: twice from the terminal, which does not show it; or one line of standard input. */
export async function readPassword(fromStdin: boolean): Promise<Result<string>> {
  if (fromStdin) return success(await readLine())
  if (!stdin.isTTY) return failure('there is no terminal to ask on; use --stdin')
  const first = await ask('Password: ')
  if (first === undefined) return failure('cancelled')
  const second = await ask('Again: ')
  return first === second ? success(first) : failure('the two are not the same')
}

async function readLine(): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stdin) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8').split(/\r?\n/, 1)[0] ?? ''
}

const CTRL_C = '\u0003'
const CTRL_D = '\u0004'

function ask(question: string): Promise<string | undefined> {
  stderr.write(question)
  stdin.setRawMode(true)
  stdin.setEncoding('utf8')
  stdin.resume()
  let typed = ''
  return new Promise((resolve) => {
    function finish(answer: string | undefined): void {
      stdin.off('data', onKeys)
      stdin.setRawMode(false)
      stdin.pause()
      stderr.write('\n')
      resolve(answer)
    }
    function onKeys(keys: string): void {
      for (const key of keys) {
        if (key === CTRL_C || key === CTRL_D) return finish(undefined)
        if (key === '\r' || key === '\n') return finish(typed)
        if (key === '\u007f' || key === '\b') typed = typed.slice(0, -1)
        else if (key >= ' ') typed += key
      }
    }
    stdin.on('data', onKeys)
  })
}
