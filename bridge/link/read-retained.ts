import type { MqttClient } from 'mqtt'
import type { LinkMessage } from './link.ts'

/** Nothing more for this long, after the marker has come back, is the end; in milliseconds. */
const QUIET_MS = 200

/**
 * Reads the retained messages on some filters. A marker that is published after the subscription
 * comes back after them; since MQTT promises no order between topics, a short silence is awaited too.
 */
export function readRetained(
  client: MqttClient,
  filters: readonly string[],
  marker: string,
): Promise<readonly LinkMessage[]> {
  return new Promise((resolve, reject) => {
    const messages: LinkMessage[] = []
    let isMarked = false
    const quiet = setTimeout(() => {
      if (isMarked) resolve(messages)
      else quiet.refresh()
    }, QUIET_MS)
    client.on('message', (topic, payload, { retain }) => {
      quiet.refresh()
      if (topic === marker) isMarked = true
      else if (retain) messages.push({ topic, payload: Buffer.from(payload), retain })
    })
    const stop = (error: Error): void => {
      clearTimeout(quiet)
      reject(error)
    }
    client.once('close', () => stop(new Error('the broker closed the connection')))
    client
      .subscribeAsync([marker, ...filters], { qos: 1 })
      .then(() => client.publishAsync(marker, 'marker', { qos: 1 }))
      .catch(stop)
  })
}
