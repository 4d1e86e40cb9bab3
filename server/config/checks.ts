import { failure, show, success, type Result } from '../../protocol/result.ts'
import type { Given } from './given.ts'

/** A value that somebody gave to an option, with what it was read as. */
export interface Checked extends Given {
  readonly value: unknown
}

/** The checks that need more than one option, or the command. */
export function checkTogether(command: string, byKey: ReadonlyMap<string, Checked>): Result<void> {
  for (const checked of byKey.values()) {
    const most = byKey.get(checked.option.spec.atMost ?? '')
    if (most && Number(checked.value) > Number(most.value)) {
      return failure(
        `${checked.source}: expected at most ${written(most)} (${most.source}), got ${written(checked)}`,
      )
    }
  }
  return checkBroker(command, byKey)
}

function checkBroker(command: string, byKey: ReadonlyMap<string, Checked>): Result<void> {
  const broker = byKey.get('broker')
  if (command === 'bridge' && !broker) {
    return failure('bridge needs a broker to attach to, such as --broker mqtt://127.0.0.1:1883')
  }
  if (!broker) return success(undefined)
  if (command !== 'bridge') {
    return failure(`${broker.source} is for the command bridge, got the command ${command}`)
  }
  const password = byKey.get('brokerPassword')
  const named = byKey.has('brokerUsername') || new URL(String(broker.value)).username !== ''
  if (password && !named) {
    // [MQTT-3.1.2-22] A CONNECT with a password has a user name.
    return failure(
      `${password.source} needs --broker-username or PRESENCE_BROKER_USERNAME, got neither`,
    )
  }
  return success(undefined)
}

function written({ raw }: Given): string {
  return typeof raw === 'string' ? raw : show(raw)
}
