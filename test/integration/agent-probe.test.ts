import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { ExecRequest } from '../../protocol/agent-link.ts'
import { query as queryMessage } from '../../protocol/wire/frontend-messages.ts'
import type { Agent } from '../../shard-agent/main.ts'
import { installSql } from '../../sql/install/schema.ts'
import { clientOf, settingsOf, startTestAgent, TestSession } from '../helpers/agent-client.ts'
import { hasPostgres15, query, startPostgres, type TestPostgres } from '../helpers/postgres.ts'

const SERIALIZABLE = 'BEGIN ISOLATION LEVEL SERIALIZABLE'
const KEYS = 600
const versions = hasPostgres15 ? ([18, 15] as const) : ([18] as const)

interface Shard {
  readonly server: TestPostgres
  agent: Agent
}

let numbers = 0

/** A SERIALIZABLE transaction over both shards, statement by statement. */
class Transaction {
  readonly sessions: TestSession[]
  private readonly txn = `c-0-${(++numbers).toString(36)}`

  constructor(shards: readonly Shard[]) {
    this.sessions = shards.map(({ agent, server }) => {
      return new TestSession(agent.connect('c'), ++numbers, clientOf(server.user))
    })
  }

  private async run(shard: number, sql: string): Promise<string | null | undefined> {
    const s = this.sessions[shard]!
    const begin = s.session.holdsBackend ? {} : { begin: [SERIALIZABLE] }
    return s.value(sql, { access: 'write', ...begin })
  }

  read(shard: number, key: number): Promise<string | null | undefined> {
    return this.run(shard, `SELECT v FROM kv WHERE id = ${key}`)
  }

  write(shard: number, key: number): Promise<string | null | undefined> {
    return this.run(shard, `UPDATE kv SET v = v + 1 WHERE id = ${key} RETURNING v`)
  }

  /** Of another cluster: no recovery settles it. */
  gid(shard: number): string {
    return `weft:other:${this.txn}:${shard}`
  }

  /** 'ok', or the SQLSTATE of the first shard that refused; then it is rolled back on the others. */
  async prepare(probe = true): Promise<string> {
    const votes = await Promise.allSettled(
      this.sessions.map((s, shard) => s.session.prepare(this.gid(shard), { probe })),
    )
    const refused = votes.find((vote) => vote.status === 'rejected')
    if (refused === undefined) return 'ok'
    await Promise.all(
      votes.flatMap((vote, i) =>
        vote.status === 'fulfilled' ? [this.sessions[i]!.session.rollbackPrepared(this.gid(i))] : [],
      ),
    )
    return (refused.reason as { code: string }).code
  }

  async commit(): Promise<void> {
    const decide = (s: TestSession, i: number) => s.session.commitPrepared(this.gid(i), 1n)
    await Promise.all(this.sessions.map(decide))
  }

  async rollback(): Promise<void> {
    await Promise.all(this.sessions.map((s, i) => s.session.rollbackPrepared(this.gid(i))))
  }
}

describe.each(versions)('agent probe on Postgres %i', (version) => {
  const shards: Shard[] = []
  const url = (shard: number) => shards[shard]!.server.url
  const start = (server: TestPostgres, shard: number) =>
    startTestAgent(server, { shard, pool: { size: 24 }, takeoverTimeoutMs: 5_000 })
  const open = (shard: number, user?: string) => {
    const { agent, server } = shards[shard]!
    return new TestSession(agent.connect('local'), ++numbers, clientOf(user ?? server.user))
  }
  const probes = async (shard: number) => {
    const rows = await query<{ gid: string }>(url(shard), 'SELECT gid FROM pg_prepared_xacts')
    return rows.map((row) => row.gid).filter((gid) => gid.startsWith('weft-probe:'))
  }
  const begun = async () => {
    const t = new Transaction(shards)
    await t.read(0, 1)
    await t.write(1, 2)
    return t
  }
  /** Prepared on both, having read key 1 of shard 0. */
  const inDoubt = async () => {
    const t = await begun()
    expect(await t.prepare()).toBe('ok')
    return t
  }
  /** What a single-shard transaction that overwrites what `inDoubt` has read is told. */
  const overwrite = async (shard = 0, level = SERIALIZABLE) => {
    const s = open(shard)
    await s.value('UPDATE kv SET v = v + 1 WHERE id = 1', { begin: [level], access: 'write' })
    const { error, ready } = await s.query('COMMIT', { access: 'commit' })
    expect([ready, s.session.holdsBackend]).toEqual(['I', false])
    return error?.code ?? 'ok'
  }
  const skew = async (probe: boolean) => {
    const [one, two] = [new Transaction(shards), new Transaction(shards)]
    await one.read(0, 10)
    await two.read(1, 11)
    await one.write(1, 11)
    await two.write(0, 10)
    const votes = [await one.prepare(probe), await two.prepare(probe)]
    await Promise.all([one, two].flatMap((t, i) => (votes[i] === 'ok' ? [t.commit()] : [])))
    return votes
  }

  beforeAll(async () => {
    for (const shard of [0, 1]) {
      const server = await startPostgres({ version, settings: { enable_seqscan: 'off' } })
      await query(server.url, installSql({ shard, slots: [{ from: 0, to: 4095, shard: 0 }] }))
      await query(server.url, 'CREATE TABLE kv (id int PRIMARY KEY, v int DEFAULT 0) WITH (fillfactor = 10)')
      await query(server.url, `INSERT INTO kv SELECT generate_series(1, ${KEYS})`)
      await query(
        server.url,
        'CREATE ROLE anybody LOGIN; CREATE ROLE strict LOGIN; GRANT ALL ON kv TO strict',
      )
      await query(server.url, `ALTER ROLE strict SET default_transaction_isolation = 'serializable'`)
      shards.push({ server, agent: await start(server, shard) })
    }
  }, 60_000)
  afterEach(async () => {
    for (const { server } of shards) {
      const left = "SELECT gid FROM pg_prepared_xacts WHERE gid NOT LIKE 'weft-probe:%'"
      expect(await query(server.url, left)).toEqual([])
    }
  })
  afterAll(async () => {
    for (const { agent, server } of shards) {
      await agent.stop()
      await server.stop()
    }
  })

  test('write skew over two shards, both prepared before either commits: 40001 with the probe only', async () => {
    expect(await skew(false)).toEqual(['ok', 'ok'])
    expect(await skew(true)).toEqual(['ok', '40001'])
  })

  /** T misses X, X is seen by Y, Y misses T. */
  async function cycleThroughTheGap(probe: boolean) {
    const t = await begun()
    expect(await t.prepare(probe)).toBe('ok')
    const x = new Transaction(shards)
    await x.write(0, 1)
    await x.write(1, 3)
    const verdict = await x.prepare(probe)
    if (verdict === 'ok') await x.commit()
    const y = open(1)
    const seen = await y.query('SELECT v FROM kv WHERE id IN (2, 3)', { begin: [SERIALIZABLE] })
    await y.query('COMMIT', { access: 'commit' })
    await t.commit()
    return { verdict, seen: seen.rows.length }
  }

  test('a cycle of three through the gap between prepare and commit: 40001 with the probe only', async () => {
    expect(await cycleThroughTheGap(false)).toEqual({ verdict: 'ok', seen: 2 })
    expect(await cycleThroughTheGap(true)).toEqual({ verdict: '40001', seen: 2 })
  })

  test('a single-shard transaction overwrites what is in doubt has read: 40001', async () => {
    const t = await inDoubt()
    expect(await overwrite()).toBe('40001')
    expect(await overwrite(0, 'BEGIN')).toBe('ok')
    await t.rollback()
    expect(await overwrite()).toBe('ok')
  })

  test('disjoint transactions: none is refused', async () => {
    const verdicts: string[] = []
    const worker = async (from: number) => {
      for (let key = from; key <= from + 36; key += 2) {
        const t = new Transaction(shards)
        await t.read(0, key)
        await t.read(1, key)
        await t.write(0, key + 1)
        await t.write(1, key + 1)
        const verdict = await t.prepare()
        if (verdict === 'ok') await t.commit()
        verdicts.push(verdict)
        for (const s of t.sessions) s.session.close()
      }
    }
    await Promise.all(Array.from({ length: 15 }, (_, i) => worker(1 + i * 40)))
    expect(verdicts).toEqual(Array(15 * 19).fill('ok'))
  })

  test('renewed under load: what was prepared under an earlier probe is covered all the while', async () => {
    const t = await inDoubt()
    const seen = new Set<string>()
    for (let rounds = 0; seen.size < 4 || rounds < 30; rounds++) {
      for (const gid of await probes(0)) seen.add(gid)
      expect(await skew(true)).toEqual(['ok', '40001'])
      expect(await overwrite()).toBe('40001')
    }
    // At most the next one beside the one that it replaces.
    expect((await probes(0)).length).toBeLessThanOrEqual(2)
    await t.commit()
  })

  test('every connection of the agent is killed: covered as before', async () => {
    const t = await inDoubt()
    await query(
      url(0),
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'`,
    )
    await expect.poll(() => overwrite().catch(() => 'down')).toBe('40001')
    await t.rollback()
    await expect.poll(() => overwrite()).toBe('ok')
  })

  test('not prepared yet when its connection dies: prepare fails, nothing stays', async () => {
    const t = await begun()
    await query(
      url(0),
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'`,
    )
    expect(['57P01', '08006']).toContain(await t.prepare())
  })

  test('the agent is restarted with a transaction in doubt: covered', async () => {
    const t = await inDoubt()
    await shards[0]!.agent.stop()
    expect(await probes(0)).toHaveLength(1)
    shards[0]!.agent = await start(shards[0]!.server, 0)
    expect(await overwrite()).toBe('40001')
    await new Transaction([shards[0]!]).sessions[0]!.session.rollbackPrepared(t.gid(0))
    await t.sessions[1]!.session.rollbackPrepared(t.gid(1))
    expect(await overwrite()).toBe('ok')
  })

  test('the agent stops with nothing in doubt: its probe is gone', async () => {
    const t = await inDoubt()
    await t.commit()
    await shards[0]!.agent.stop()
    expect(await probes(0)).toEqual([])
    shards[0]!.agent = await start(shards[0]!.server, 0)
  })

  test('the server crashes with a transaction in doubt: nothing serializable commits before it is settled', async () => {
    const t = await inDoubt()
    await shards[0]!.server.crash()
    await shards[0]!.server.restart()
    await expect.poll(() => shards[0]!.agent.status().up, { timeout: 20_000 }).toBe(true)
    expect(await overwrite(0, 'BEGIN')).toBe('ok')
    expect(await overwrite(0, 'BEGIN ISOLATION LEVEL REPEATABLE READ')).toBe('ok')
    const other = new Transaction([shards[0]!])
    await other.write(0, 400)
    const bySetting: Partial<ExecRequest> = {
      settings: settingsOf("SET default_transaction_isolation = 'serializable'"),
      access: 'write',
    }
    const payload = queryMessage('UPDATE kv SET v = v + 1 WHERE id = 500')
    expect((await open(0).exec({ payload, access: 'write' })).error).toBeUndefined()
    const refused = await Promise.all([
      overwrite(),
      other.prepare(),
      open(0)
        .exec({ payload, ...bySetting })
        .then((reply) => reply.error?.code),
      open(0, 'strict')
        .exec({ payload, access: 'write' })
        .then((reply) => reply.error?.code),
    ])
    expect(refused).toEqual(['40001', '40001', '40001', '40001'])
    // Postgres by itself lets it commit: the conflicts of what is prepared are lost. And it refuses a new probe.
    await query(url(0), `${SERIALIZABLE}; UPDATE kv SET v = v + 1 WHERE id = 1; COMMIT`)
    const probe = `${SERIALIZABLE}; SELECT count(*) FROM weft.ssi_probe; PREPARE TRANSACTION 'weft-probe:0:test'`
    await expect(query(url(0), probe)).rejects.toMatchObject({ code: '40001' })
    const waits = overwrite()
    await new Transaction([shards[0]!]).sessions[0]!.session.rollbackPrepared(t.gid(0))
    await t.sessions[1]!.session.rollbackPrepared(t.gid(1))
    expect(await waits).toBe('ok')
    expect(await skew(true)).toEqual(['ok', '40001'])
  }, 60_000)

  test('the probe of a later agent is left alone', async () => {
    const later = 'weft-probe:999999:later'
    await query(url(0), `BEGIN; PREPARE TRANSACTION '${later}'`)
    const t = await inDoubt()
    expect((await probes(0)).length).toBeGreaterThan(1)
    await t.commit()
    await expect.poll(() => probes(0), { timeout: 20_000 }).toEqual([later])
    await query(url(0), `ROLLBACK PREPARED '${later}'`)
  })

  test('idle: no probe that would hold back vacuum, and no rows', async () => {
    const t = await inDoubt()
    expect(await probes(0)).not.toEqual([])
    await t.commit()
    for (const shard of [0, 1]) {
      await expect.poll(() => probes(shard), { timeout: 20_000 }).toEqual([])
      // They go after the probe.
      await expect.poll(() => query(url(shard), 'SELECT FROM weft.ssi_probe')).toEqual([])
    }
  })

  test('the table: any role may insert, and nothing else', async () => {
    const as = new URL(url(0))
    as.username = 'anybody'
    await query(as.toString(), 'INSERT INTO weft.ssi_probe DEFAULT VALUES')
    for (const verb of ['SELECT FROM', 'DELETE FROM', 'TRUNCATE', 'DROP TABLE']) {
      await expect(query(as.toString(), `${verb} weft.ssi_probe`)).rejects.toMatchObject({ code: '42501' })
    }
    await query(url(0), 'CREATE PUBLICATION everything FOR ALL TABLES; DELETE FROM weft.ssi_probe')
    await query(url(0), 'DROP PUBLICATION everything')
  })
})
