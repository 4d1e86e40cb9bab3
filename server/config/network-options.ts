/** Where the program listens, with which certificate, and through which proxies and pages it is reached. */
export const NETWORK_OPTIONS = {
  host: {
    heading: 'Listening',
    kind: 'host',
    about: 'The address to listen on; 0.0.0.0 is every address of the machine.',
    default: '127.0.0.1',
  },
  mqttPort: {
    kind: 'port',
    about: 'The port for MQTT over TCP; 0 is any free one.',
    default: '1883',
  },
  httpPort: {
    kind: 'port',
    about: 'The port for HTTP and for MQTT over WebSocket (/mqtt); 0 is any free one.',
    default: '8080',
  },

  tlsCert: {
    heading: 'TLS',
    kind: 'path',
    about:
      'The certificate, in PEM with those between it and its authority. With it HTTP and WebSocket speak TLS, MQTT has a port with TLS, and the one without listens on 127.0.0.1 only. Read again on SIGHUP.',
  },
  tlsKey: {
    kind: 'path',
    about: 'The key of the certificate, in PEM.',
  },
  tlsCa: {
    kind: 'path',
    about:
      'The authority of client certificates, in PEM; the common name of a certificate that it has signed is a user.',
  },
  mqttsPort: {
    kind: 'port',
    about: 'With a certificate: the port for MQTT over TLS; 0 is any free one.',
    default: '8883',
  },
  trustedProxy: {
    heading: 'Who is asked for',
    kind: 'addresses',
    about:
      'The proxies that may say for whom they speak, such as 10.0.0.0/8: by the PROXY protocol over TCP, by X-Forwarded-For over HTTP.',
    default: '',
  },
  origins: {
    kind: 'list',
    about:
      'The web pages that may open WebSockets, such as https://*.example.com. Unless set: every page where clients prove who they are, else those of this machine.',
  },
} as const
