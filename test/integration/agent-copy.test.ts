import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AgentLink } from '../../protocol/agent-link.ts'
import type { Agent } from '../../shard-agent/main.ts'
import type { ProbeKeeper } from '../../shard-agent/participant/probe.ts'
import { clientOf, startTestAgent, TestSession } from '../helpers/agent-client.ts'
import { COPY_DONE, copyData, copyFail, extendedCopy, SYNC } from '../helpers/copy-messages.ts'
import { query, startPostgres, type TestPostgres } from '../helpers/postgres.ts'

const MEGABYTES = 50
const LINE_BYTES = 1024
const LINES = (MEGABYTES * 1024 * 1024) / LINE_BYTES

describe.each([false, true])('agent COPY, split writes %s', (splitWrites) => {
  let server: TestPostgres
  let agent: Agent
  let link: AgentLink
  let ids = 0
  const open = (): TestSession => new TestSession(link, ++ids, clientOf(server.user))

  beforeAll(async () => {
    server = await startPostgres()
    await query(server.url, 'CREATE UNLOGGED TABLE big (t text)')
    agent = await startTestAgent(server, { splitWrites })
    // Until then an exec may not run at once, and the data that these tests send right behind it has nowhere to go. A
    // coordinator sends none before it was asked for.
    const { probe } = agent as unknown as { probe: ProbeKeeper }
    await probe.covered()
    link = agent.connect('c1')
  })
  afterAll(async () => {
    await agent?.stop()
    await server?.stop()
  })

  /** Sends as fast as the agent takes it, in chunks that do not end where messages do. */
  async function sendAll(s: TestSession): Promise<number> {
    const line = copyData(`${'x'.repeat(LINE_BYTES - 1)}\n`)
    const chunk = Buffer.concat(Array.from({ length: 64 }, () => line))
    let waited = 0
    for (let sent = 0; sent < LINES; sent += 64) {
      const cut = 1 + (sent % (chunk.length - 2))
      for (const part of [chunk.subarray(0, cut), chunk.subarray(cut)]) {
        if (s.session.copyData(part)) continue
        waited++
        await new Promise<void>((resolve) => {
          s.onDrained = resolve
        })
      }
    }
    return waited
  }

  test.each(['simple', 'extended'])(
    'copy in: 50 MB by the %s protocol: the sender is slowed down, all arrives',
    async (protocol) => {
      const s = open()
      await s.query('TRUNCATE big', { access: 'write' })
      const copy =
        protocol === 'simple'
          ? s.query('COPY big FROM STDIN', { access: 'write' })
          : s.exec({ payload: extendedCopy('COPY big FROM STDIN'), access: 'write' })
      expect(await sendAll(s)).toBeGreaterThan(10)
      s.session.copyData(protocol === 'simple' ? COPY_DONE : Buffer.concat([COPY_DONE, SYNC]))
      const reply = await copy
      expect([reply.error, reply.ready]).toEqual([undefined, 'I'])
      expect(await s.value('SELECT count(*) FROM big')).toBe(String(LINES))
    },
  )

  test('copy out: 50 MB to a slow reader: little is held', async () => {
    const s = open()
    let bytes = 0
    let outstanding = 0
    let highest = 0
    s.onChunk = (chunk) => {
      bytes += chunk.length
      outstanding += chunk.length
      highest = Math.max(highest, outstanding)
      if (outstanding < 256 * 1024) return
      s.session.pause()
      setImmediate(() => {
        outstanding = 0
        s.session.resume()
      })
    }
    const reply = await s.query('COPY big TO STDOUT')
    expect(reply.ready).toBe('I')
    expect(bytes).toBeGreaterThan(MEGABYTES * 1024 * 1024)
    // The chunk under way when the reader says stop, and no more.
    expect(highest).toBeLessThanOrEqual(512 * 1024)
  })

  test('copy in: CopyFail: undone, the session goes on', async () => {
    const s = open()
    const copy = s.exec({ payload: extendedCopy('COPY big FROM STDIN'), access: 'write' })
    s.session.copyData(copyData('only\n'))
    s.session.copyData(Buffer.concat([copyFail('thought better of it'), SYNC]))
    expect((await copy).error?.code).toBe('57014')
    expect(await s.value(`SELECT count(*) FROM big WHERE t = 'only'`)).toBe('0')
  })
})
