import type { NextConfig } from 'next'

/** Where `npx presence-bridge` listens. */
const server = process.env['BROKER_URL'] ?? 'http://127.0.0.1:8080'

const config: NextConfig = {
  // This folder alone, not the repository around it.
  turbopack: { root: import.meta.dirname },
  async rewrites() {
    return ['/mqtt', '/unload'].map((source) => ({ source, destination: server + source }))
  },
}

export default config
