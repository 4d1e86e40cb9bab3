/** How many ends of connections are dealt with in one turn of the event loop. */
const A_TURN = 50

/** Does one thing after the other: at once, or in one of the next turns when this one has had its share. */
export type Pace = (run: () => void) => void

/** Creates the pace: a cut cable ends thousands of connections in one turn, and others would wait for all of them. */
export function createPace(aTurn: number = A_TURN): Pace {
  const waiting: (() => void)[] = []
  let spent = 0

  function spend(run: () => void): void {
    if (spent++ === 0) setImmediate(nextTurn)
    run()
  }

  function nextTurn(): void {
    spent = 0
    for (let run; spent < aTurn && (run = waiting.shift());) spend(run)
  }

  return (run) => {
    if (waiting.length > 0 || spent >= aTurn) waiting.push(run)
    else spend(run)
  }
}
