import { setTimeout as pause } from 'node:timers/promises'
import { systemClock } from '../../runtime/clock.ts'
import { watchStalls } from '../../runtime/stall-watch.ts'
import { readRetained } from '../helpers/presence-reader.ts'
import { createRandom } from '../helpers/random.ts'
import { inScenario, onTeardown } from '../helpers/teardown.ts'
import { eventually } from '../helpers/within.ts'
import { dueWith, latestOf, recoveryOf } from './bounds.ts'
import { createDiary, type Deed, type Diary } from './diary.ts'
import { explainEnds } from './explain.ts'
import { breakPart, type Fault } from './fault.ts'
import { compareExactly } from './final.ts'
import type { History, Outage } from './history.ts'
import { judge, type Verdict } from './judge.ts'
import { observe } from './observer.ts'
import type { ChaosOptions } from './options.ts'
import { Person } from './person.ts'
import { makePlan, SLOTS, type Action } from './plan.ts'
import type { Reading } from './reading.ts'
import { Worker } from './worker.ts'
import { startWorld, type World } from './world.ts'

/** What a run has shown. */
export interface Outcome extends Verdict {
  readonly options: ChaosOptions
  /** How often what was done. */
  readonly counts: ReadonlyMap<string, number>
  readonly outages: readonly Outage[]
  readonly deeds: readonly Deed[]
  readonly readings: readonly Reading[]
}

/** How long the last acts may take, in milliseconds. */
const IDLE_WITHIN_MS = 90_000

/** On top of the last bound, before everything is compared, in milliseconds. */
const AFTER_MS = 500

/**
 * Carries out a plan against real processes, and judges what readers were shown. Nothing is left behind,
 * also when it is called off.
 */
export function runChaos(options: ChaosOptions, calledOff?: Promise<never>): Promise<Outcome> {
  return inScenario(() => {
    const run = carryOut(options)
    return calledOff ? Promise.race([run, calledOff]) : run
  })
}

async function carryOut(options: ChaosOptions): Promise<Outcome> {
  const diary = createDiary(options.topology)
  const world = await startWorld(options.topology)
  const workers = await Promise.all(
    Array.from({ length: options.workers }, () => Worker.start(world)),
  )
  const observers = world.brokers.map(observe)
  const people = Array.from({ length: options.users }, (_, i) =>
    createPerson(i, options, diary, workers, world),
  )
  watchHarness(diary)
  await perform(makePlan(options), world, workers, people, diary)
  for (const person of people) person.stop()
  const isIdle = (): boolean => people.every((person) => person.isIdle)
  await eventually('everybody is done', isIdle, IDLE_WITHIN_MS)
  await settle(() => diary.history())
  const retained = await Promise.all(
    world.brokers.map((node) =>
      readRetained(
        { host: '127.0.0.1', mqttPort: node.mqttPort, httpPort: node.httpPort },
        'presence/users/#',
        'presence/rooms/#',
      ),
    ),
  )
  const readings = await Promise.all(observers.map((observer) => observer.finish()))
  const { violations, checks } = judge(diary.history(), readings)
  const now = performance.now()
  const atLast = readings.flatMap((reading, i) =>
    compareExactly(diary.history().lives, retained[i] ?? new Map<string, string>(), reading, now),
  )
  const { counts, outages, deeds } = diary
  return {
    options,
    violations: [...violations, ...atLast],
    checks,
    counts,
    outages,
    deeds,
    readings,
  }
}

function createPerson(
  i: number,
  { seed }: ChaosOptions,
  diary: Diary,
  workers: readonly Worker[],
  { brokers }: World,
): Person {
  const own = Array.from({ length: SLOTS }, (_, slot) => workers[(i + slot) % workers.length])
  return new Person({
    user: `user-${i}`,
    diary,
    random: createRandom(seed + 1000 * (i + 1)),
    workers: own.filter((worker) => worker !== undefined),
    brokers: brokers.length,
  })
}

/** Who observes may be late, too: it is a fault like any other. */
function watchHarness(diary: Diary): void {
  const stalls = watchStalls({
    clock: systemClock,
    onStall(ms) {
      const to = performance.now()
      diary.outage({ part: 'harness', harm: 'late', target: 0, from: to - ms, to })
    },
  })
  onTeardown(() => stalls.close())
}

/** Does what is planned, each thing at its time; resolves when everything that was broken is mended. */
async function perform(
  plan: readonly Action[],
  world: World,
  workers: readonly Worker[],
  people: readonly Person[],
  diary: Diary,
): Promise<void> {
  const begin = performance.now()
  const broken = new Set<string>()
  const going: Promise<void>[] = []

  async function strike(action: Extract<Action, { type: 'blow' }>): Promise<void> {
    const worker = workers[action.worker]
    if (!worker?.isOpen) return
    diary.count(`clients: ${action.blow}`)
    await worker.strike(action.blow, action.ms, {
      onBlow(struck, blow, at) {
        diary.note(`worker ${action.worker}`, `${blow} for ${action.ms}`)
        for (const person of people) person.onBlow(struck, blow, at)
      },
      async onBack(struck, _blow, from) {
        diary.note(`worker ${action.worker}`, 'is back')
        await Promise.all(people.map((person) => person.onBack(struck, from)))
      },
    })
  }

  async function breakOne(fault: Fault): Promise<void> {
    const name = `${fault.part} ${fault.target}`
    if (broken.has(name)) return
    broken.add(name)
    diary.note(name, `${fault.harm} for ${fault.ms}`)
    const outage = await breakPart(world, fault)
    if (outage) {
      diary.outage(outage)
      diary.count(`ours: ${fault.part} ${fault.harm}`)
      diary.note(name, 'is back')
    }
    broken.delete(name)
  }

  for (const action of plan) {
    const wait = begin + action.at - performance.now()
    if (wait > 0) await pause(wait)
    if (action.type === 'act') people[action.user]?.act(action.act, action.slot, action.manner)
    else if (action.type === 'storm') {
      diary.count(`clients: storm of ${action.act}`)
      for (const user of action.users) people[user]?.act(action.act, 0, action.manner)
    } else going.push(action.type === 'blow' ? strike(action) : breakOne(action))
  }
  await Promise.all(going)
}

/** Waits until every bound has passed. */
async function settle(history: () => History): Promise<void> {
  for (;;) {
    const { lives, outages, isVolatile } = explainEnds(history()).history
    const sorted = outages.toSorted((a, b) => a.from - b.from)
    const ends = lives.flatMap(({ end }) =>
      end ? [dueWith(sorted, end.from, latestOf(end, isVolatile))] : [],
    )
    const recovered = sorted.map((outage) => outage.to + recoveryOf(outage))
    const wait = Math.max(0, ...ends, ...recovered) + AFTER_MS - performance.now()
    if (wait <= 0) return
    await pause(wait)
  }
}
