import { createMemoryStore } from '../../../bridge/index.ts'
import { describeStore } from './describe-store.ts'

describeStore('the memory store', async (now) => createMemoryStore({ now }))
