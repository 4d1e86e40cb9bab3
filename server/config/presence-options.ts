/** What presence is: its topics, how long it is held, how rooms are told of it, and when silence ends it. */
export const PRESENCE_OPTIONS = {
  root: {
    heading: 'Topics',
    kind: 'topic',
    about: 'What all presence topics start with.',
    default: 'presence',
  },
  brokerId: {
    kind: 'id',
    about:
      'What the name of this broker begins with; the rest is new at each start, since what it knew is gone with it.',
  },
  bridgeId: {
    kind: 'id',
    about:
      'The name of this bridge, unlike that of any other on the same broker; the host name unless set.',
  },

  grace: {
    left: {
      heading: 'Grace: how long presence is held after a connection ended, by how it ended',
      kind: 'duration',
      about: 'The client said that it leaves.',
      default: '0s',
      max: '1h',
    },
    unload: {
      kind: 'duration',
      about: 'The page said that it is unloading, which a refresh does too.',
      default: '2s',
      max: '1h',
    },
    closed: {
      kind: 'duration',
      about: 'The socket closed without a word: a crash, a killed process.',
      default: '5s',
      max: '1h',
    },
    timeout: {
      kind: 'duration',
      about: 'The client was silent for too long: a pulled cable, an empty battery.',
      default: '5s',
      max: '1h',
    },
    error: {
      kind: 'duration',
      about: 'The client broke the protocol or a limit.',
      default: '5s',
      max: '1h',
    },
    broker: {
      kind: 'duration',
      about: 'The broker went away, not the client.',
      default: '15s',
      max: '1h',
    },
    kicked: {
      kind: 'duration',
      about: 'An administrator or an expired token ended it.',
      default: '0s',
      max: '1h',
    },
  },
  rooms: {
    grace: {
      kind: 'roomGrace',
      flag: 'room-grace',
      about:
        "Other graces for the rooms that match a pattern, such as 'doc-*:closed=30s,unload=5s'. As a flag, give it once for each pattern; in the environment, put ; between them.",
      default: '',
      max: '1h',
    },
    paceMin: {
      heading: 'Rooms',
      kind: 'duration',
      flag: 'room-pace-min',
      about: 'The shortest time between two batches of changes of one room.',
      default: '50ms',
      max: '1m',
      atMost: 'rooms.paceMax',
    },
    paceMax: {
      kind: 'duration',
      flag: 'room-pace-max',
      about: 'The longest, which large rooms come to.',
      default: '500ms',
      max: '1m',
    },
    announceLimit: {
      kind: 'count',
      flag: 'announce-limit',
      about: 'Snapshots and diffs of rooms with more members than this tell the size only.',
      default: '1000',
    },
  },

  livenessTimeout: {
    heading: 'Detection',
    kind: 'duration',
    about: 'How long an idle peer may be unreachable before it counts as dead.',
    default: '20s',
    min: '2s',
    max: '1h',
  },
  keepaliveTolerance: {
    kind: 'duration',
    about: 'How late a keepalive may be while its WebSocket answers pings.',
    default: '60s',
    max: '1h',
  },
} as const
