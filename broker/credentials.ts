import type { Credentials } from './auth/authenticator.ts'
import type { ConnectionInfo } from './transport/connection-info.ts'

/** What a client brings to prove who it is: in its CONNECT, and in how it came. */
export function credentialsOf(
  said: {
    readonly clientId: string
    readonly username?: string | undefined
    readonly password?: string | Buffer | undefined
  },
  { transport, remoteAddress, request, certificate }: ConnectionInfo,
): Credentials {
  return {
    clientId: said.clientId,
    username: said.username,
    password: said.password?.toString(),
    transport,
    remoteAddress,
    ...(request && { request }),
    ...(certificate !== undefined && { certificate }),
  }
}
