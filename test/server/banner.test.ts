import { expect } from 'chai'
import { formatBanner } from '../../server/banner.ts'
import { loadConfig } from '../../server/config/load.ts'

function banner(argv: readonly string[], ports: { mqttPort?: number; httpPort?: number }): string {
  const result = loadConfig(argv, {}, () => '{}')
  if (!result.ok || !('config' in result.value)) throw new Error('expected a configuration')
  return formatBanner(result.value.command, result.value.config, ports, 214)
}

describe('the banner', () => {
  it('says where to connect and what to try', () => {
    expect(banner([], { mqttPort: 1883, httpPort: 8080 })).to.equal(`
  MQTT              mqtt://127.0.0.1:1883
  MQTT/WebSocket    ws://127.0.0.1:8080/mqtt
  HTTP              http://127.0.0.1:8080/
  try               mosquitto_sub -p 1883 -v -t 'presence/users/#'
  in another shell  mosquitto_sub -p 1883 -i alice-laptop -u alice -t x

ready in 0.21 s
`)
  })

  it('names an address of this machine where every address is listened on', () => {
    const text = banner(['--host', '::', '--root', 'acme', '--allow-anonymous'], {
      mqttPort: 1,
      httpPort: 2,
    })
    expect(text).to.include('mqtt://[::1]:1\n')
    expect(text).to.include("mosquitto_sub -h ::1 -p 1 -v -t 'acme/users/#'\n")
    expect(banner(['--host', '0.0.0.0', '--allow-anonymous'], { mqttPort: 1 })).to.include(
      'mqtt://127.0.0.1:1\n',
    )
  })

  it('names the broker of a bridge that runs alone, without its password', () => {
    expect(banner(['bridge', '--broker', 'wss://me:secret@host/mqtt'], {})).to.equal(`
  broker            wss://host/mqtt

ready in 0.21 s
`)
  })
})
