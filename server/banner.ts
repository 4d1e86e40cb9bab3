import type { Program } from './compose.ts'
import type { Command } from './config/load.ts'
import type { Config } from './config/options.ts'

/** What is printed when the program is ready: where to connect and a line to try. */
export function formatBanner(
  command: Command,
  config: Config,
  { mqttPort, httpPort }: Pick<Program, 'mqttPort' | 'httpPort'>,
  startedInMs: number,
): string {
  const host = reachableHost(config.host)
  const inUrl = host.includes(':') ? `[${host}]` : host
  const rows: (readonly [string, string])[] = []
  if (mqttPort !== undefined) {
    rows.push(['MQTT', `mqtt://${inUrl}:${mqttPort}`])
    if (httpPort !== undefined) rows.push(['MQTT/WebSocket', `ws://${inUrl}:${httpPort}/mqtt`])
  }
  if (httpPort !== undefined) rows.push(['HTTP', `http://${inUrl}:${httpPort}/`])
  if (command === 'bridge') rows.push(['broker', withoutCredentials(config.broker ?? '')])
  if (command === 'server') {
    const to = `${host === '127.0.0.1' ? '' : `-h ${host} `}-p ${mqttPort}`
    rows.push(['try', `mosquitto_sub ${to} -v -t '${config.root}/users/#'`])
    rows.push(['in another shell', `mosquitto_sub ${to} -i alice-laptop -u alice -t x`])
  }
  const lines = rows.map(([name, value]) => `  ${name.padEnd(18)}${value}\n`)
  return `\n${lines.join('')}\nready in ${(startedInMs / 1000).toFixed(2)} s\n`
}

/** An address to connect to from this machine, where the one that is listened on is every address. */
function reachableHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}

function withoutCredentials(url: string): string {
  const address = new URL(url)
  address.username = ''
  address.password = ''
  return address.href
}
