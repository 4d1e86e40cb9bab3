/**
 * The broker: Aedes, with presence for everybody who connects.
 *
 * @module
 */
export { createBroker, type Broker } from './broker.ts'
export type { BrokerLink, BrokerLinkHandlers, BrokerLinkMessage } from './link.ts'
export type { BrokerOptions } from './options.ts'
