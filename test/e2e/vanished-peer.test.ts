import { expect } from 'chai'
import type { ClientOptions } from '../helpers/connect-options.ts'
import { createNamespace, type Namespace } from '../helpers/netns.ts'
import { isOffline, json, watch } from '../helpers/presence-reader.ts'
import { startProgram } from '../helpers/process.ts'
import { startClientProcess } from '../helpers/remote-clients.ts'

/** The bound of DESIGN.md for an idle peer, and the grace that is set here; in milliseconds. */
const NOTICED_MS = 20_000
const GRACE_MS = 1000

/** What a sweep, and a shared and busy machine, may add. */
const NOISE_MS = 500

const CLIENTS: readonly ClientOptions[] = (['3.1', '3.1.1', '5'] as const).flatMap((version) =>
  (['tcp', 'websocket'] as const).flatMap((transport) =>
    [0, 3600].map((keepalive) => ({
      user: `MQTT ${version} over ${transport}, keepalive ${keepalive}`,
      version,
      transport,
      keepalive,
    })),
  ),
)

describe('an idle client whose network is gone', () => {
  it('is noticed within 20 s though it asked for no keepalive or a long one', async function () {
    this.timeout(45_000)
    let namespace: Namespace
    try {
      namespace = await createNamespace()
    } catch (error) {
      console.log(`      SKIPPED: no network namespace can be made here: ${String(error).trim()}`)
      this.skip()
    }
    const { name, host } = namespace
    const server = await startProgram({ host, flags: ['--grace-timeout', `${GRACE_MS}ms`] })
    const reader = await watch(server, 'presence/users/+')
    const child = await startClientProcess(name)
    await Promise.all(CLIENTS.map((options) => child.connect(server, options)))
    await reader.caughtUp()

    const cut = performance.now()
    await namespace.cut()
    for (const { user = '' } of CLIENTS) {
      const gone = await reader.find(isOffline(user), NOTICED_MS + GRACE_MS + 5000)
      expect(json(gone), user).to.include({ reason: 'timeout' })
      expect(gone.at - cut, user).to.be.below(NOTICED_MS + GRACE_MS + NOISE_MS)
    }
  })
})
