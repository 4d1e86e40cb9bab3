import {
  deadlineOf,
  publicState,
  RESTING,
  stepConnection,
  type ConnectionState,
  type MachineEffect,
  type MachineInput,
  type SessionOptions,
  type TokenTimes,
} from '../core/index.ts'
import { openMqtt, type MqttConnection } from './mqtt-connection.ts'
import type { Surroundings } from './port.ts'
import type { Speaker } from './speaker.ts'
import { createTokenKeeper } from './token-keeper.ts'
import { readTokenTimes } from './token-times.ts'

/** The connection through all its ups and downs: runs the machine's effects. */
export interface Link {
  readonly state: ConnectionState
  /** When `tick` is due; null when there is nothing to wait for. */
  readonly deadline: number | null
  readonly connection: MqttConnection | null
  /** Somebody wants a connection; whatever was final is not any more when `anew`. */
  start(anew?: boolean): void
  tick(): void
  /** A good moment to try, or to look whether the connection still stands. */
  wake(): void
  setNetwork(up: boolean): void
  giveToken(attempt: number, token: string): void
  giveUpToken(attempt: number, message: string): void
  /** Nobody wants the connection for now: closes it without a word. */
  rest(): void
  /** Leaves for good; resolves when it is said. */
  leave(): Promise<void>
}

/** Options of {@link createLink}. */
export interface LinkOptions {
  readonly session: SessionOptions
  readonly client: string
  readonly world: Surroundings
  readonly speaker: Speaker
  /** Asks a page for the token of this attempt. */
  readonly askForToken: (attempt: number, failed: number) => void
  readonly onUp: (connection: MqttConnection) => void
  readonly onDown: () => void
  readonly onMessage: (topic: string, payload: Uint8Array, retain: boolean) => void
  /** The state or the deadline has changed. */
  readonly onChange: () => void
}

/** How long the broker may take to acknowledge when the connection is doubted, in milliseconds. */
const PROBE_MS = 5000

/** Creates a link that rests. */
export function createLink(options: LinkOptions): Link {
  const { session, client, world, speaker, askForToken, onUp, onDown, onMessage, onChange } =
    options
  let machine = RESTING
  let connection: MqttConnection | null = null
  let isProbing = false
  /** What the token of this attempt says of itself. */
  let times: TokenTimes | null = null
  const keeper = createTokenKeeper({
    session,
    world,
    ask: (failed) => askForToken(machine.attempt, failed),
    onChange,
  })

  function drive(input: MachineInput): void {
    const [next, effects] = stepConnection(machine, input, world.now(), session, world.random())
    const changed = next !== machine
    machine = next
    for (const effect of effects) run(effect)
    if (changed) onChange()
  }

  function run(effect: MachineEffect): void {
    switch (effect.type) {
      case 'authorize':
        return askForToken(effect.attempt, machine.failed)
      case 'open':
        return open(effect.attempt, null)
      case 'abandon':
        return drop()
      case 'disconnect':
        return void disconnect()
    }
  }

  function open(attempt: number, password: string | null): void {
    drop()
    const { url, user: username, keepaliveS, protocolVersion } = session
    const will = speaker.nextWill()
    const identity = { url, clientId: client, username, password }
    try {
      const opened = openMqtt(
        { ...identity, keepaliveS, protocolVersion, will },
        {
          onOpened() {
            if (connection !== opened) return
            keeper.hold(opened, times)
            drive({ type: 'opened', attempt })
            onUp(opened)
          },
          onRefused(code) {
            const tokenExpired = times !== null && times.expiresAt <= world.now()
            end({ type: 'refused', attempt, code, tokenExpired })
          },
          onClosed: (message, isTold) => close(attempt, message, isTold),
          onMessage,
        },
      )
      connection = opened
    } catch (error) {
      end({ type: 'closed', attempt, message: String(error) })
    }
  }

  function end(input: MachineInput & { readonly attempt: number }): void {
    if (input.attempt === machine.attempt) forget()
    drive(input)
  }

  /** Version 5 says why it ends; before, an end at the token's time has to speak for itself. */
  function close(attempt: number, message: string, isTold: boolean): void {
    const tokenExpired = isTold || (attempt === machine.attempt && keeper.isOver)
    const why = tokenExpired && !isTold ? `${message}: the token has expired` : message
    end({ type: 'closed', attempt, message: why, tokenExpired })
  }

  function forget(): void {
    keeper.forget()
    connection = null
    isProbing = false
    onDown()
  }

  function drop(): void {
    connection?.abandon()
    forget()
  }

  async function disconnect(): Promise<void> {
    const current = connection
    if (!current) return
    await speaker.sayLeft().catch(() => {})
    forget()
    await current.disconnect()
  }

  /** A connection that survived a sleep or a change of networks may be dead without knowing it. */
  function probe(doubted: MqttConnection): void {
    if (isProbing) return
    isProbing = true
    const cancel = world.after(PROBE_MS, () => {
      if (connection !== doubted) return
      doubted.abandon()
      end({ type: 'closed', attempt: machine.attempt, message: 'the broker no longer answers' })
    })
    const proven = (): void => {
      cancel()
      if (connection === doubted) isProbing = false
    }
    speaker.repeat().then(proven, proven)
  }

  return {
    get state() {
      return { ...publicState(machine), ...keeper.trouble }
    },
    get deadline() {
      return keeper.deadline ?? deadlineOf(machine)
    },
    get connection() {
      return connection
    },
    start(anew = false) {
      if (anew && machine.phase.status === 'stopped')
        machine = { ...RESTING, attempt: machine.attempt }
      drive({ type: 'start' })
    },
    tick() {
      drive({ type: 'timer' })
      keeper.tick()
    },
    wake() {
      drive({ type: 'wake' })
      if (machine.phase.status === 'up' && connection) probe(connection)
    },
    setNetwork: (up) => drive({ type: 'network', up }),
    giveToken(attempt, token) {
      if (attempt !== machine.attempt) return
      if (machine.phase.status === 'up') return keeper.renew(token)
      if (machine.phase.status !== 'authorizing') return
      times = readTokenTimes(token)
      // Its effect is `open`, which is done here: the machine has no use for the token.
      machine = stepConnection(machine, { type: 'authorized', attempt }, world.now(), session, 0)[0]
      open(attempt, token)
      onChange()
    },
    giveUpToken(attempt, message) {
      if (attempt === machine.attempt) keeper.fail(message)
      drive({ type: 'unauthorized', attempt, message })
    },
    rest() {
      drop()
      drive({ type: 'rest' })
    },
    async leave() {
      const said = disconnect()
      drive({ type: 'stop', failure: { reason: 'left', message: 'this page has left' } })
      await said
    },
  }
}
