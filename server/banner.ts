import type { Program } from './compose.ts'
import type { Command } from './config/load.ts'
import type { Config } from './config/options.ts'

/** What is printed when the program is ready: where to connect and a line to try. */
export function formatBanner(
  command: Command,
  config: Config,
  { mqttPort, mqttsPort, httpPort }: Pick<Program, 'mqttPort' | 'mqttsPort' | 'httpPort'>,
  startedInMs: number,
): string {
  const host = reachableHost(config.host)
  const inUrl = host.includes(':') ? `[${host}]` : host
  const rows: (readonly [string, string])[] = []
  const secure = mqttsPort === undefined ? '' : 's'
  if (mqttsPort !== undefined) rows.push(['MQTT/TLS', `mqtts://${inUrl}:${mqttsPort}`])
  if (mqttPort !== undefined) {
    // Beside TLS the plain port is for this machine.
    rows.push(['MQTT', `mqtt://${secure ? '127.0.0.1' : inUrl}:${mqttPort}`])
    if (httpPort !== undefined) {
      rows.push(['MQTT/WebSocket', `ws${secure}://${inUrl}:${httpPort}/mqtt`])
    }
  }
  if (httpPort !== undefined) rows.push(['HTTP', `http${secure}://${inUrl}:${httpPort}/`])
  if (command === 'bridge') rows.push(['broker', withoutCredentials(config.broker ?? '')])
  const { jwtSecret, jwtKey, jwksUrl, passwords, tlsCa } = config
  const asksWho = [jwtSecret, jwtKey, jwksUrl, passwords, tlsCa].some((way) => way !== undefined)
  if (command === 'server' && !asksWho) {
    const to = `${host === '127.0.0.1' || secure ? '' : `-h ${host} `}-p ${mqttPort}`
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
