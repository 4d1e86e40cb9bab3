import type { RedisConnection } from '../../../runtime/redis/connection.ts'
import { loadScriptFile, type Script } from '../../../runtime/redis/script.ts'

/** Loads a script of the folder `scripts`. */
export function loadScript(redis: RedisConnection, name: string): Script {
  return loadScriptFile(redis, new URL(`./scripts/${name}.lua`, import.meta.url))
}
