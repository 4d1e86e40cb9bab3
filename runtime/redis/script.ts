import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isReply, type RedisArgument, type RedisConnection } from './connection.ts'

/** Runs one script where its first key lives. */
export type Script = (keys: readonly string[], args: readonly RedisArgument[]) => Promise<unknown>

/**
 * Loads a script from a file; Redis is sent its text only when it does not know it yet.
 *
 * @param answer whether strings in the answer come as text or as bytes
 */
export function loadScriptFile(
  redis: RedisConnection,
  file: URL,
  answer: 'text' | 'bytes' = 'text',
): Script {
  const send = (key: string, command: readonly RedisArgument[]): Promise<unknown> =>
    answer === 'text' ? redis.send(key, command) : redis.sendForBytes(key, command)
  const text = readFileSync(file, 'utf8')
  const digest = createHash('sha1').update(text).digest('hex')
  return async (keys, args) => {
    const rest = [String(keys.length), ...keys, ...args]
    const key = keys[0] ?? ''
    try {
      return await send(key, ['EVALSHA', digest, ...rest])
    } catch (error) {
      if (!isReply(error) || !error.message.startsWith('NOSCRIPT')) throw error
      return send(key, ['EVAL', text, ...rest])
    }
  }
}
