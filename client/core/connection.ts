import { backoffDelay, type BackoffPolicy } from './backoff.ts'
import { describeRefusal, isAboutCredentials, isFinalRefusal } from './refusals.ts'
import type { ConnectionState, Reason } from './messages.ts'

/** What the machine has to know besides its state. */
export interface ConnectionPolicy extends BackoffPolicy {
  /** Whether a token has to be asked for before every attempt. */
  readonly usesToken: boolean
  /** How long an attempt may take from its socket to CONNACK, in milliseconds. */
  readonly connectTimeoutMs: number
  /** How long the page may take to get a token, in milliseconds. */
  readonly tokenTimeoutMs: number
}

/** Why an attempt or a connection failed. */
interface Failure {
  readonly reason: Reason
  readonly message: string
}

/** Where the connection is. What exists only at one point is only there. */
type Phase =
  /** Nobody wants a connection. */
  | { readonly status: 'resting' }
  | { readonly status: 'authorizing'; readonly until: number }
  | { readonly status: 'opening'; readonly until: number }
  | { readonly status: 'up'; readonly since: number }
  | { readonly status: 'waiting'; readonly until: number }
  | { readonly status: 'stopped'; readonly failure: Failure }

/** The state of the machine. */
export interface Machine {
  readonly phase: Phase
  /** Numbers the attempts of the machine's life, so that what comes late is known to be late. */
  readonly attempt: number
  /** Attempts in a row that have failed. */
  readonly failed: number
  /** The last failure since the connection was up. */
  readonly failure: Failure | null
  readonly wasUp: boolean
  /** Whether the browser says that there is a network. */
  readonly network: boolean
  readonly attemptedAt: number
}

/** What can happen. Inputs with an attempt are ignored when it is not the current one. */
export type MachineInput =
  | { readonly type: 'start' }
  | { readonly type: 'authorized'; readonly attempt: number }
  | { readonly type: 'unauthorized'; readonly attempt: number; readonly message: string }
  | { readonly type: 'opened'; readonly attempt: number }
  | {
      readonly type: 'closed'
      readonly attempt: number
      readonly message: string
      /** The broker ended it because the token has expired. */
      readonly tokenExpired?: boolean
    }
  | {
      readonly type: 'refused'
      readonly attempt: number
      readonly code: number
      /** The token that was refused says itself that it has expired. */
      readonly tokenExpired?: boolean
    }
  | { readonly type: 'timer' }
  /** A good moment to try: the page is seen again, the network or the computer is back. */
  | { readonly type: 'wake' }
  | { readonly type: 'network'; readonly up: boolean }
  /** Nobody wants the connection for now. */
  | { readonly type: 'rest' }
  /** For good. */
  | { readonly type: 'stop'; readonly failure: Failure }

/** What there is to do. */
export type MachineEffect =
  | { readonly type: 'authorize'; readonly attempt: number }
  | { readonly type: 'open'; readonly attempt: number }
  /** The attempt takes too long: forget it. */
  | { readonly type: 'abandon' }
  /** Say goodbye and disconnect. */
  | { readonly type: 'disconnect' }

type Step = readonly [Machine, readonly MachineEffect[]]

/** Who was connected for this long starts with short waits again, in milliseconds. */
const STEADY_MS = 5000

/** Two attempts that somebody's wish brings about are this far apart, in milliseconds. */
const EAGER_MS = 1000

/** The machine before anything has happened. */
export const RESTING: Machine = {
  phase: { status: 'resting' },
  attempt: 0,
  failed: 0,
  failure: null,
  wasUp: false,
  network: true,
  attemptedAt: Number.NEGATIVE_INFINITY,
}

/**
 * What becomes of the connection. Total: an input that means nothing in a state is ignored.
 *
 * @param random from 0 to 1; decides how long to wait after a failure
 */
export function stepConnection(
  machine: Machine,
  input: MachineInput,
  now: number,
  policy: ConnectionPolicy,
  random: number,
): Step {
  const { phase } = machine
  if (phase.status === 'stopped') return [machine, []]
  if ('attempt' in input && input.attempt !== machine.attempt) return [machine, []]
  switch (input.type) {
    case 'start':
      return phase.status === 'resting' ? attempt(machine, now, policy) : [machine, []]
    case 'authorized':
      return phase.status === 'authorizing' ? open(machine, now, policy) : [machine, []]
    case 'unauthorized': {
      const failure: Failure = { reason: 'token', message: input.message }
      return phase.status === 'authorizing'
        ? fail(machine, failure, now, policy, random)
        : [machine, []]
    }
    case 'opened':
      if (phase.status !== 'opening') return [machine, []]
      return [{ ...machine, phase: { status: 'up', since: now }, wasUp: true, failure: null }, []]
    case 'closed':
      if (phase.status !== 'opening' && phase.status !== 'up') return [machine, []]
      return fail(machine, endOf(input), now, policy, random)
    case 'refused':
      return phase.status === 'opening'
        ? refuse(machine, input, now, policy, random)
        : [machine, []]
    case 'timer':
      return checkTime(machine, now, policy, random)
    case 'wake':
      return phase.status === 'waiting' && now - machine.attemptedAt >= EAGER_MS
        ? attempt(machine, now, policy)
        : [machine, []]
    case 'network':
      return changeNetwork(machine, input.up, now, policy)
    case 'rest':
      return [
        { ...machine, phase: { status: 'resting' }, attempt: machine.attempt + 1, failed: 0 },
        end(phase),
      ]
    case 'stop':
      return [{ ...machine, phase: { status: 'stopped', failure: input.failure } }, end(phase)]
  }
}

function attempt(machine: Machine, now: number, policy: ConnectionPolicy): Step {
  const next = { ...machine, attempt: machine.attempt + 1, attemptedAt: now }
  if (!policy.usesToken) return open(next, now, policy)
  const phase: Phase = { status: 'authorizing', until: now + policy.tokenTimeoutMs }
  return [{ ...next, phase }, [{ type: 'authorize', attempt: next.attempt }]]
}

function open(machine: Machine, now: number, policy: ConnectionPolicy): Step {
  const phase: Phase = { status: 'opening', until: now + policy.connectTimeoutMs }
  return [{ ...machine, phase }, [{ type: 'open', attempt: machine.attempt }]]
}

function fail(
  machine: Machine,
  failure: Failure,
  now: number,
  policy: ConnectionPolicy,
  random: number,
): Step {
  const { phase } = machine
  // A server that takes connections and drops them at once is waited for like one that does not.
  const isSteady = phase.status === 'up' && now - phase.since >= STEADY_MS
  const failed = isSteady ? 1 : machine.failed + 1
  if (failed >= policy.maxTries && phase.status !== 'up') {
    const message = `${policy.maxTries} attempts in a row have failed; the last: ${failure.message}`
    return [
      {
        ...machine,
        failed,
        failure,
        phase: { status: 'stopped', failure: { reason: 'tries', message } },
      },
      [],
    ]
  }
  const until = now + backoffDelay(failed, random, policy)
  return [{ ...machine, failed, failure, phase: { status: 'waiting', until } }, []]
}

function endOf({ message, tokenExpired }: Extract<MachineInput, { type: 'closed' }>): Failure {
  return { reason: tokenExpired ? 'token' : 'network', message }
}

function refuse(
  machine: Machine,
  { code, tokenExpired }: Extract<MachineInput, { type: 'refused' }>,
  now: number,
  policy: ConnectionPolicy,
  random: number,
): Step {
  // The next token may be a better one.
  if (tokenExpired && isAboutCredentials(code)) {
    const message = `getToken gave a token that has expired; ${describeRefusal(code)}`
    return fail(machine, { reason: 'token', message }, now, policy, random)
  }
  const failure: Failure = { reason: 'refused', message: describeRefusal(code) }
  if (!isFinalRefusal(code)) return fail(machine, failure, now, policy, random)
  return [{ ...machine, failure, phase: { status: 'stopped', failure } }, []]
}

function checkTime(machine: Machine, now: number, policy: ConnectionPolicy, random: number): Step {
  const due = deadlineOf(machine)
  if (due === null || now < due) return [machine, []]
  switch (machine.phase.status) {
    case 'waiting':
      return attempt(machine, now, policy)
    case 'authorizing': {
      const message = `getToken did not answer within ${policy.tokenTimeoutMs} ms`
      return fail(machine, { reason: 'token', message }, now, policy, random)
    }
    case 'opening': {
      const message = `the broker did not answer within ${policy.connectTimeoutMs} ms`
      const [next, effects] = fail(machine, { reason: 'network', message }, now, policy, random)
      return [next, [{ type: 'abandon' }, ...effects]]
    }
    case 'resting':
    case 'up':
    case 'stopped':
      return [machine, []]
  }
}

function changeNetwork(machine: Machine, up: boolean, now: number, policy: ConnectionPolicy): Step {
  if (up === machine.network) return [machine, []]
  const next = { ...machine, network: up }
  return up && next.phase.status === 'waiting' ? attempt(next, now, policy) : [next, []]
}

function end(phase: Phase): readonly MachineEffect[] {
  if (phase.status === 'up') return [{ type: 'disconnect' }]
  return phase.status === 'opening' ? [{ type: 'abandon' }] : []
}

/** When a `timer` input is due; null when there is nothing to wait for. */
export function deadlineOf({ phase }: Machine): number | null {
  return 'until' in phase ? phase.until : null
}

/** What the page is told: eight situations, five words. */
export function publicState(machine: Machine): ConnectionState {
  const { phase, failed, failure, network, wasUp } = machine
  const retryAt = phase.status === 'waiting' ? phase.until : null
  const trouble = { reason: failure?.reason ?? null, message: failure?.message ?? null }
  switch (phase.status) {
    case 'up':
      return { state: 'online', reason: null, message: null, failed: 0, retryAt: null }
    case 'stopped':
      return { state: 'stopped', ...phase.failure, failed, retryAt: null }
    case 'resting':
      return { state: 'offline', reason: 'resting', message: null, failed, retryAt: null }
    case 'authorizing':
    case 'opening':
    case 'waiting':
      // It is tried all the same: a broker on this very machine needs no network.
      if (!network) {
        return {
          state: 'offline',
          reason: 'network',
          message: 'the browser has no network',
          failed,
          retryAt,
        }
      }
      return { state: wasUp ? 'reconnecting' : 'connecting', ...trouble, failed, retryAt }
  }
}
