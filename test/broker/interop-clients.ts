/** A client that others have written: how it is started, to subscribe to `news` with a will on `wills`. */
export interface ForeignClient {
  readonly name: string
  readonly command: string
  readonly args: (at: Ports, clientId: string) => readonly string[]
  /** What it writes when it has got a message; it may have no way to tell. */
  readonly shows?: string
}

/** Where the broker listens. */
export interface Ports {
  readonly tcp: number
  readonly webSocket: number
}

const HOST = '127.0.0.1'

function mosquitto(command: 'mosquitto_sub' | 'mosquitto_pub', version: string): ForeignClient {
  return {
    name: `${command} ${version}`,
    command,
    args: ({ tcp }, id) => [
      '-h',
      HOST,
      '-p',
      String(tcp),
      '-i',
      id,
      '-V',
      version,
      '-t',
      'news',
      '--will-topic',
      'wills',
      '--will-payload',
      id,
      '--will-qos',
      '1',
      // A publisher that reads lines stays until there are no more.
      ...(command === 'mosquitto_pub' ? ['-l'] : []),
    ],
    ...(command === 'mosquitto_sub' && { shows: 'hello' }),
  }
}

function pahoC(command: string, version: string, webSocket = false): ForeignClient {
  return {
    name: `${command} ${version}${webSocket ? ' over WebSocket' : ''}`,
    command,
    args: (ports, id) => [
      ...(webSocket
        ? ['-c', `ws://${HOST}:${ports.webSocket}/mqtt`]
        : ['-h', HOST, '-p', String(ports.tcp)]),
      '-t',
      'news',
      '-i',
      id,
      '-V',
      version,
      '--will-topic',
      'wills',
      '--will-payload',
      id,
      '--will-qos',
      '1',
    ],
    ...(command.endsWith('_sub') && { shows: 'hello' }),
  }
}

const PYTHON = `
import sys
import paho.mqtt.client as mqtt
port, client_id, version, transport = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
options = {} if version == 5 else {'clean_session': True}
client = mqtt.Client(client_id, protocol=version, transport=transport, **options)
client.will_set('wills', client_id, qos=1)
client.on_connect = lambda client, *rest: client.subscribe('news', qos=1)
client.on_message = lambda client, data, message: print(message.payload.decode(), flush=True)
if transport == 'websockets':
    client.ws_set_options(path='/mqtt')
client.connect('${HOST}', port)
client.loop_forever()
`

function python(version: 3 | 4 | 5, transport: 'tcp' | 'websockets'): ForeignClient {
  return {
    name: `python3-paho-mqtt, level ${version} over ${transport}`,
    // Debian's, which has Debian's modules.
    command: '/usr/bin/python3',
    args: ({ tcp, webSocket }, id) => {
      const port = transport === 'tcp' ? tcp : webSocket
      return ['-c', PYTHON, String(port), id, String(version), transport]
    },
    shows: 'hello',
  }
}

const MQTT_JS = `
const { default: mqtt } = await import(process.argv[1])
const [, , url, clientId, version] = process.argv
const client = mqtt.connect(url, {
  clientId,
  protocolVersion: Number(version),
  protocolId: version === '3' ? 'MQIsdp' : 'MQTT',
  will: { topic: 'wills', payload: Buffer.from(clientId), qos: 1, retain: false },
})
client.on('connect', () => client.subscribe('news', { qos: 1 }))
client.on('message', (topic, payload) => console.log(payload.toString()))
`

function mqttJs(
  module: 'mqtt' | 'mqtt4',
  version: 3 | 4 | 5,
  transport: 'mqtt' | 'ws',
): ForeignClient {
  return {
    name: `mqtt.js ${module === 'mqtt' ? 5 : 4}, level ${version} over ${transport}`,
    command: process.execPath,
    args: ({ tcp, webSocket }, id) => {
      const url = transport === 'mqtt' ? `mqtt://${HOST}:${tcp}` : `ws://${HOST}:${webSocket}/mqtt`
      return ['--input-type=module', '-e', MQTT_JS, module, url, id, String(version)]
    },
    shows: 'hello',
  }
}

const WEBSOCKET_STREAM = `
import mqtt from 'mqtt'
import websocket from 'websocket-stream'
const [, url, clientId] = process.argv
const client = new mqtt.MqttClient(() => websocket(url, 'mqtt'), {
  clientId,
  will: { topic: 'wills', payload: Buffer.from(clientId), qos: 1, retain: false },
})
client.on('connect', () => client.subscribe('news', { qos: 1 }))
client.on('message', (topic, payload) => console.log(payload.toString()))
`

const U8 = `
const [, level, port, clientId] = process.argv
const { default: mqtt } = await import('u8-mqtt/esm/node/' + level + '.js')
const client = mqtt().with_tcp('tcp://${HOST}:' + port)
client.subscribe_topic('news', (packet) => console.log(packet.text()))
await client.connect({
  client_id: clientId,
  keep_alive: 30,
  will: { topic: 'wills', payload: clientId, qos: 1 },
})
`

function u8(level: 'v4' | 'v5'): ForeignClient {
  return {
    name: `u8-mqtt ${level}`,
    command: process.execPath,
    args: ({ tcp }, id) => ['--input-type=module', '-e', U8, level, String(tcp), id],
    shows: 'hello',
  }
}

/** Every client that can be had. */
export const FOREIGN_CLIENTS: readonly ForeignClient[] = [
  ...['mqttv31', 'mqttv311', 'mqttv5'].flatMap((version) => [
    mosquitto('mosquitto_sub', version),
    mosquitto('mosquitto_pub', version),
  ]),
  ...['31', '311', '5'].flatMap((version) => [
    pahoC('paho_c_sub', version),
    pahoC('paho_c_pub', version),
    pahoC('paho_cs_sub', version),
  ]),
  pahoC('paho_c_sub', '311', true),
  ...([3, 4, 5] as const).map((version) => python(version, 'tcp')),
  python(4, 'websockets'),
  ...([3, 4, 5] as const).flatMap((version) => [
    mqttJs('mqtt', version, 'mqtt'),
    mqttJs('mqtt4', version, 'mqtt'),
  ]),
  mqttJs('mqtt', 5, 'ws'),
  mqttJs('mqtt4', 4, 'ws'),
  {
    name: 'mqtt.js 5 over websocket-stream',
    command: process.execPath,
    args: ({ webSocket }, id) => [
      '--input-type=module',
      '-e',
      WEBSOCKET_STREAM,
      `ws://${HOST}:${webSocket}/mqtt`,
      id,
    ],
    shows: 'hello',
  },
  u8('v4'),
  u8('v5'),
]
