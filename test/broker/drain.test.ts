import { expect } from 'chai'
import { createBroker } from '../../broker/index.ts'
import { parseConnectionDocument, parseTopic } from '../../protocol/index.ts'
import { connectClient } from '../helpers/mqtt.ts'
import { onTeardown } from '../helpers/teardown.ts'

describe('a broker that is closed', () => {
  it('is the cause of every end, from the first connection on, whatever its version', async () => {
    const broker = await createBroker({ mqttPort: 0 })
    onTeardown(() => broker.close())
    const causes = new Map<string, unknown>()
    const link = broker.link()
    await link.open(['presence/connections/+/+'], {
      onMessage: async ({ topic, payload }) => {
        const parsed = parseTopic('presence', topic)
        const document = parseConnectionDocument(new TextDecoder().decode(payload))
        if (parsed?.kind !== 'connection' || !document.ok) return
        if (document.value.status === 'offline') causes.set(parsed.client, document.value.reason)
      },
      onUp: async () => {},
      onDown: () => {},
    })
    const address = { host: '127.0.0.1', mqttPort: broker.mqttPort ?? 0, httpPort: 0 }
    const versions = ['3.1', '3.1.1', '5', '3.1.1', '5'] as const
    for (const [i, version] of versions.entries()) {
      await connectClient(address, { clientId: `client-${i}`, version })
    }
    await broker.close()
    expect(Object.fromEntries(causes)).to.deep.equal(
      Object.fromEntries(versions.map((_, i) => [`client-${i}`, 'broker'])),
    )
  })
})
