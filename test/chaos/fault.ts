import { setTimeout as pause } from 'node:timers/promises'
import type { RedisServer } from '../helpers/redis.ts'
import type { Outage } from './history.ts'
import type { Line } from './line.ts'
import type { Action } from './plan.ts'
import type { Node, World } from './world.ts'

export type Fault = Extract<Action, { type: 'fault' }>

/** Breaks something of ours and mends it again; undefined when it was broken already. */
export async function breakPart(world: World, fault: Fault): Promise<Outage | undefined> {
  const { part, harm, target, ms } = fault
  const from = performance.now()
  if (!(await harmPart(world, fault))) return undefined
  return { part, harm, target, from, to: Math.max(performance.now(), from + ms) }
}

async function harmPart(world: World, { part, harm, target, ms }: Fault): Promise<boolean> {
  switch (part) {
    case 'server':
    case 'broker':
      return harmNode(world.brokers[target], harm, ms)
    case 'bridge':
      return harmNode(world.bridges[target], harm, ms)
    case 'redis':
      return harmRedis(world.redis, harm, ms)
    case 'line':
      return harmLine(world.lines[target], harm, ms)
  }
}

async function harmNode(node: Node | undefined, harm: Fault['harm'], ms: number): Promise<boolean> {
  const program = node?.program
  if (!node || !program) return false
  if (harm === 'stop') {
    program.kill('SIGSTOP')
    await pause(ms)
    program.kill('SIGCONT')
    return true
  }
  program.kill(harm === 'kill' ? 'SIGKILL' : 'SIGTERM')
  await program.exited
  await pause(ms)
  await node.start()
  return true
}

async function harmRedis(
  redis: RedisServer | undefined,
  harm: Fault['harm'],
  ms: number,
): Promise<boolean> {
  if (!redis) return false
  if (harm === 'stop') {
    redis.signal('SIGSTOP')
    await pause(ms)
    redis.signal('SIGCONT')
  } else if (harm === 'drop') {
    await redis.command('CLIENT KILL TYPE normal SKIPME yes')
  } else {
    await redis.kill()
    await pause(ms)
    await redis.restart(harm === 'empty' ? 'empty' : 'with data')
  }
  return true
}

async function harmLine(line: Line | undefined, harm: Fault['harm'], ms: number): Promise<boolean> {
  if (!line) return false
  if (harm === 'cut') {
    line.cut()
    return true
  }
  line.stall()
  await pause(ms)
  line.resume()
  return true
}
