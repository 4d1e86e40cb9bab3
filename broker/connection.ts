import type { Cause, ConnectionDocument } from '../protocol/index.ts'
import type { AedesClient } from './aedes-internals.ts'
import type { Grant } from './auth/grant.ts'
import type { ConnectionInfo } from './transport/connection-info.ts'

/** Who a client is to others. */
export interface Identity {
  readonly user: string
  readonly client: string
  /** Whether others see it. */
  readonly present: boolean
  /** Whether it is a bridge, which writes what people read. */
  readonly isBridge: boolean
}

/** What the broker knows of one network connection from its CONNECT on. */
export interface Connection {
  /** The connection id; never used again. */
  readonly id: string
  readonly client: AedesClient
  readonly info: ConnectionInfo
  /** The keepalive that counts, in milliseconds; 0 when there is none. */
  keepaliveMs: number
  /** When the last packet came, in milliseconds since the epoch. */
  heardAt: number
  /** When the transport last proved that the peer is there. */
  transportHeardAt: number
  /** When the peer was last asked for a pong. */
  pingedAt: number
  /** The number of the claim by which it has its client id, where there are several brokers. */
  claim: number | undefined
  identity: Identity | undefined
  /** What it may do; changes with its token. */
  grant: Grant | undefined
  /** How it ends, once somebody knows better than the socket. */
  cause: Cause | undefined
  /** What its documents come to so far. */
  document: ConnectionDocument
  /** Whoever knows it may say that the client's page is unloading. */
  unloadKey: string | undefined
  state: 'connecting' | 'announced' | 'ended'
}

/** A connection as its CONNECT makes it. */
export function openConnection(
  id: string,
  client: AedesClient,
  info: ConnectionInfo,
  now: number,
): Connection {
  return {
    id,
    client,
    info,
    keepaliveMs: 0,
    heardAt: now,
    transportHeardAt: now,
    pingedAt: now,
    claim: undefined,
    identity: undefined,
    grant: undefined,
    cause: undefined,
    document: { status: 'online' },
    unloadKey: undefined,
    state: 'connecting',
  }
}
