import { didYouMean } from '../../runtime/suggest.ts'
import type { Given, Reading } from './given.ts'
import { VARIABLE_PREFIX, type Option } from './spec.ts'

/** The environment as node gives it. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Reads the options among the environment variables. */
export function readEnvironment(environment: Environment, options: readonly Option[]): Reading {
  const byVariable = new Map(options.map((option) => [option.variable, option]))
  const given: Given[] = []
  const errors: string[] = []
  for (const [variable, raw] of Object.entries(environment)) {
    // Container tools pass a variable that is not set as an empty one.
    if (!variable.startsWith(VARIABLE_PREFIX) || raw === undefined || raw === '') continue
    const option = byVariable.get(variable)
    if (option) given.push({ option, source: variable, raw })
    else if (!isServiceLink(variable, raw)) {
      const hint = didYouMean(variable, [...byVariable.keys()]) || '; see presence-bridge --help'
      errors.push(`unknown environment variable ${variable}${hint}`)
    }
  }
  return { given, errors }
}

/**
 * Kubernetes tells every container of a namespace about a Service named `presence` or
 * `presence-bridge` in variables of its own: PRESENCE_SERVICE_HOST, PRESENCE_PORT_1883_TCP_ADDR, ….
 */
function isServiceLink(variable: string, value: string): boolean {
  return (
    /_SERVICE_(HOST|PORT)(_|$)|_PORT_\d+_(TCP|UDP|SCTP)(_|$)/.test(variable) ||
    /^(tcp|udp|sctp):\/\//.test(value)
  )
}
