import type { AedesPublishPacket } from 'aedes'
import { takeUserProperty } from '../gate/packets/user-properties.ts'

/** What of a message can have a version. */
export type Versioned = Pick<AedesPublishPacket, 'properties'>

/** The user property by which a bridge tells the version of what it publishes. */
const NAME = 'version'

/**
 * Where a message has its version on its way through this broker: Aedes copies no members that it does not
 * know, and properties are encoded one by one, so that readers do not get it.
 */
const VERSION = Symbol('version')

type Properties = NonNullable<Versioned['properties']> & { readonly [VERSION]?: number }

/** The version of what a message tells; undefined when it has none. */
export function versionOf(packet: Versioned): number | undefined {
  const properties: Properties | undefined = packet.properties
  return properties?.[VERSION]
}

/** Gives a message a version. */
export function setVersion(packet: Versioned, version: number): void {
  const properties: Properties = { ...packet.properties, [VERSION]: version }
  packet.properties = properties
}

/** Makes the version of a message out of the user property with which a bridge has sent it. */
export function takeVersion(packet: Versioned): void {
  const { userProperties } = packet.properties ?? {}
  const text = userProperties && takeUserProperty(userProperties, NAME)
  if (text === undefined) return
  const version = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (Number.isSafeInteger(version)) setVersion(packet, version)
}
