/** Does a piece of work and returns its cost, in deliveries. */
type Job = () => number

/**
 * Shares the event loop between publishers. A chunk that one publisher sends can hold thousands of
 * messages, each for thousands of readers: done at once, that is seconds in which nobody else is served.
 */
export interface Lanes {
  /**
   * Runs a job now while this turn has room, else in a later turn: jobs of one lane in order, and the
   * lanes that wait in rotation, so that a publisher waits for its own messages only. A job that is given
   * while another one runs waits too.
   */
  readonly run: (lane: string, job: Job) => void
}

/** Creates lanes that together do about `budget` deliveries in one turn of the event loop. */
export function createLanes(budget: number): Lanes {
  const waiting = new Map<string, Job[]>()
  let spent = 0
  let isRunning = false
  let isScheduled = false

  function execute(job: Job): void {
    isRunning = true
    try {
      spent += job()
    } finally {
      isRunning = false
    }
  }

  function nextTurn(): void {
    isScheduled = false
    spent = 0
    // Before any job, so that one that throws does not strand the others.
    if (waiting.size > 0) schedule()
    while (spent < budget) {
      const first = waiting.entries().next()
      if (first.done) return
      const [lane, jobs] = first.value
      waiting.delete(lane)
      const job = jobs.shift()
      if (jobs.length > 0) waiting.set(lane, jobs)
      if (job) execute(job)
    }
  }

  function schedule(): void {
    if (isScheduled) return
    isScheduled = true
    setImmediate(nextTurn)
  }

  return {
    run(lane, job) {
      schedule()
      if (!isRunning && waiting.size === 0 && spent < budget) {
        execute(job)
        return
      }
      const jobs = waiting.get(lane)
      if (jobs) jobs.push(job)
      else waiting.set(lane, [job])
    },
  }
}
