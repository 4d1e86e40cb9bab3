import type { ClientOptions } from '../helpers/connect-options.ts'

/** A way to connect. */
export type Way = Required<Pick<ClientOptions, 'version' | 'transport'>>

/** Every way to connect. */
export const WAYS: readonly Way[] = (['3.1', '3.1.1', '5'] as const).flatMap((version) => [
  { version, transport: 'tcp' },
  { version, transport: 'websocket' },
])
