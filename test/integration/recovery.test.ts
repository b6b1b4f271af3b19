import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Recovery, type RecoveryOptions } from '../../shard-agent/participant/recovery.ts'
import { coordinatorOf, gidFor, type Incarnation, incarnationFor, txnIdFor } from '../../txn/gid.ts'
import { MemoryLogStore, MemoryTxnLog } from '../../txn/log/memory-txn-log.ts'
import { LogUnavailableError, type LookupResult } from '../../txn/log/txn-log.ts'
import { adminOf } from '../helpers/commit-world.ts'
import { query, startPostgres, type TestPostgres } from '../helpers/postgres.ts'

let server: TestPostgres
let admin: pg.Client
let nonSuper: pg.Client

beforeAll(async () => {
  server = await startPostgres()
  await query(
    server.url,
    `CREATE TABLE t (id int PRIMARY KEY); CREATE ROLE "App ""1""" LOGIN; GRANT ALL ON t TO "App ""1""";
     CREATE ROLE weft_agent LOGIN; GRANT "App ""1""" TO weft_agent`,
  )
  admin = await connect('postgres')
  nonSuper = await connect('weft_agent')
})
afterAll(async () => {
  await admin?.end()
  await nonSuper?.end()
  await server?.stop()
})

const store = { current: new MemoryLogStore() }
beforeEach(() => {
  store.current = new MemoryLogStore()
})
afterEach(async () => {
  const left = await query<{ gid: string }>(server.url, 'SELECT gid FROM pg_prepared_xacts')
  for (const { gid } of left) await query(server.url, `ROLLBACK PREPARED '${gid}'`)
  await query(server.url, 'TRUNCATE t')
})

async function connect(user: string): Promise<pg.Client> {
  const url = new URL(server.url)
  url.username = encodeURIComponent(user)
  const client = new pg.Client({ connectionString: url.href })
  await client.connect()
  return client
}

/** Prepares an INSERT of `id`. */
async function prepare(gid: string, id: number, user = 'postgres'): Promise<void> {
  const client = await connect(user)
  await client.query(`BEGIN; INSERT INTO t VALUES (${id}); PREPARE TRANSACTION '${gid}'`)
  await client.end()
}

const ids = async (): Promise<number[]> =>
  (await query<{ id: number }>(server.url, 'SELECT id FROM t ORDER BY id')).map((row) => row.id)
const gids = async (): Promise<string[]> =>
  (await query<{ gid: string }>(server.url, 'SELECT gid FROM pg_prepared_xacts ORDER BY gid')).map(
    (r) => r.gid,
  )

const incarnation = incarnationFor('owner', 0)
const txnId = (number: number, of: Incarnation = incarnation) => txnIdFor(of, number)
const mine = (number: number) => gidFor('c', txnId(number), 1)

function decide(number: number, decision: 'commit' | 'abort', participants = [1]): void {
  const commitTs = decision === 'commit' ? 5n : 0n
  const record = { version: 1, txnId: txnId(number), decision, commitTs, participants, writer: 'w' } as const
  store.current.registered.add(incarnation)
  expect(store.current.create(record)).toEqual({ kind: 'created' })
}

function recovery(options: Partial<RecoveryOptions> = {}): Recovery {
  return new Recovery({
    shard: 1,
    cluster: 'c',
    log: new MemoryTxnLog(store.current),
    admin: adminOf(admin),
    agentId: 'agent-1',
    isOwnerConnected: () => false,
    ...options,
  })
}

describe('recovery of one shard', () => {
  test('start: decided ones are carried out, the record goes with the last confirmation', async () => {
    await prepare(mine(1), 1)
    await prepare(mine(2), 2)
    decide(1, 'commit')
    decide(2, 'abort')
    const r = recovery()
    await r.start()
    await r.stop()
    expect(await ids()).toEqual([1])
    expect(await gids()).toEqual([])
    expect(store.current.entries.has(txnId(1))).toBe(false)
    expect(r.counters).toMatchObject({ committed: 1, rolledBack: 1, confirmed: 1, errors: 0 })
  })

  test('start: undecided, its coordinator registered: a tombstone, rolled back, a late commit loses', async () => {
    await prepare(mine(1), 1)
    store.current.registered.add(incarnation)
    const r = recovery()
    await r.start()
    await r.stop()
    expect([await ids(), await gids()]).toEqual([[], []])
    expect(r.counters).toMatchObject({ tombstones: 1, rolledBack: 1 })
    const late = { version: 1, txnId: txnId(1), decision: 'commit', commitTs: 9n, participants: [1] } as const
    expect(store.current.create({ ...late, writer: 'late' })).toMatchObject({ record: { decision: 'abort' } })
  })

  test('start: undecided ones of a coordinator that is gone: rolled back without a tombstone', async () => {
    await prepare(mine(1), 1)
    const r = recovery()
    await r.start()
    await r.stop()
    expect([await ids(), await gids()]).toEqual([[], []])
    expect(store.current.entries.size).toBe(0)
  })

  test("others' gids, other clusters', other shards': never touched, the misplaced one shown", async () => {
    const others = ['app-1', "it's", gidFor('other', txnId(1), 1), gidFor('c', txnId(1), 2)]
    for (const [i, gid] of others.entries()) await prepare(gid.replaceAll("'", "''"), i)
    decide(1, 'abort')
    const problems: string[] = []
    const r = recovery({ onProblem: (problem) => problems.push(problem.gid) })
    await r.start()
    await r.stop()
    const left = await gids()
    expect(left.sort()).toEqual([...others].sort())
    expect(r.view.foreign).toBe(3)
    expect(problems).toEqual([others[3]])
    await query(server.url, "ROLLBACK PREPARED 'it''s'")
  })

  test('the owner is connected: left alone until it is old, then looked up, then aborted', async () => {
    await prepare(mine(1), 1)
    store.current.registered.add(incarnation)
    let now = 0
    const r = recovery({ isOwnerConnected: () => true, monoMs: () => now })
    await r.scan()
    now = 999
    await r.scan()
    now = 4_999
    await r.scan()
    expect(await gids()).toEqual([mine(1)])
    expect(store.current.entries.size).toBe(0)
    now = 5_000
    await r.scan()
    expect(await gids()).toEqual([])
    expect(r.counters.tombstones).toBe(1)
  })

  test('the owner is lost: resolved at once', async () => {
    let connected = true
    const r = recovery({ isOwnerConnected: () => connected })
    await prepare(mine(1), 1)
    await prepare(mine(2), 2)
    decide(2, 'commit', [1, 2])
    await r.scan()
    expect(await gids()).toHaveLength(2)
    connected = false
    await r.ownerLost('owner')
    expect([await ids(), await gids()]).toEqual([[2], []])
    // The other participant has not confirmed.
    expect(store.current.entries.get(txnId(2))?.confirmed).toEqual(new Set([1]))
  })

  test('the log is out of reach: nothing is touched, and resolved when it is back', async () => {
    await prepare(mine(1), 1)
    decide(1, 'commit')
    class Flaky extends MemoryTxnLog {
      down = true
      override async lookup(id: string): Promise<LookupResult> {
        if (this.down) throw new LogUnavailableError('down')
        return super.lookup(id)
      }
    }
    const log = new Flaky(store.current)
    const r = recovery({ log })
    await r.scan()
    expect(await gids()).toEqual([mine(1)])
    expect(r.counters.errors).toBe(1)
    log.down = false
    await r.scan()
    expect([await ids(), await gids()]).toEqual([[1], []])
  })

  test('a record that cannot be read: shown once, left as it is', async () => {
    await prepare(mine(1), 1)
    class Newer extends MemoryTxnLog {
      override async lookup(): Promise<LookupResult> {
        return { kind: 'unreadable', why: 'record of version 2' }
      }
    }
    const problems: string[] = []
    const r = recovery({ log: new Newer(store.current), onProblem: (problem) => problems.push(problem.why) })
    await r.scan()
    await r.scan()
    expect(await gids()).toEqual([mine(1)])
    expect(problems).toEqual(['record of version 2'])
    expect(r.view.problems).toHaveLength(1)
  })

  test('the admin login is no superuser: it becomes the owner for the command, and itself again', async () => {
    await prepare(mine(1), 1, 'App "1"')
    await prepare(mine(2), 2, 'App "1"')
    decide(1, 'commit')
    decide(2, 'abort')
    const r = recovery({ admin: adminOf(nonSuper) })
    await r.start()
    await r.stop()
    expect([await ids(), await gids()]).toEqual([[1], []])
    expect((await nonSuper.query('SELECT current_user AS me')).rows).toEqual([{ me: 'weft_agent' }])
  })

  test('four recoveries at once, on connections of their own: each is settled once', async () => {
    for (let n = 1; n <= 20; n++) await prepare(mine(n), n)
    for (let n = 1; n <= 10; n++) decide(n, 'commit')
    const clients = await Promise.all(Array.from({ length: 4 }, () => connect('postgres')))
    const all = clients.map((client, i) => recovery({ admin: adminOf(client), agentId: `agent-${i}` }))
    await Promise.all(all.map((r) => r.scan()))
    await Promise.all(clients.map((client) => client.end()))
    // What one found busy (55000) it leaves to the next scan.
    await recovery().scan()
    expect(await gids()).toEqual([])
    expect(await ids()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    expect(all.reduce((sum, r) => sum + r.counters.committed, 0)).toBe(10)
    expect([...store.current.entries.values()].every((e) => e.record.decision === 'abort')).toBe(true)
  })

  test('the record is concluded between the scan and the look-up: no tombstone contradicts it', async () => {
    await prepare(mine(1), 1)
    decide(1, 'commit')
    class Racing extends MemoryTxnLog {
      override async lookup(id: string): Promise<LookupResult> {
        // The coordinator carries it out and drops the record just now.
        await query(server.url, `COMMIT PREPARED '${mine(1)}'`)
        await this.drop([id])
        return super.lookup(id)
      }
    }
    const r = recovery({ log: new Racing(store.current) })
    await r.scan()
    expect(await ids()).toEqual([1])
    expect([store.current.entries.size, r.counters.tombstones]).toEqual([0, 0])
  })

  test('a commit goes through what the agent gives for it, with its timestamp', async () => {
    await prepare(mine(1), 1)
    decide(1, 'commit')
    const applied: string[] = []
    const resolved: string[] = []
    const r = recovery({
      apply: async (row, how, commitTs) => {
        applied.push(`${how} ${commitTs}`)
        await query(server.url, `COMMIT PREPARED '${row.gid}'`)
        return true
      },
      onResolved: (gid, how) => resolved.push(`${gid} ${how}`),
    })
    await r.scan()
    expect([applied, resolved]).toEqual([['commit 5'], [`${mine(1)} commit`]])
  })
})

describe('recovery: tidying', () => {
  test('a commit that everyone carried out and nobody concluded: confirmed once it is old', async () => {
    decide(1, 'commit')
    decide(2, 'commit', [1, 2])
    await prepare(mine(3), 3)
    decide(3, 'commit')
    let now = 0
    const r = recovery({ monoMs: () => now, isOwnerConnected: () => true })
    await r.tidy()
    expect(store.current.entries.size).toBe(3)
    now = 30_000
    await r.tidy()
    expect([...store.current.entries.keys()]).toEqual([txnId(2), txnId(3)])
    expect(store.current.entries.get(txnId(2))?.confirmed).toEqual(new Set([1]))
    expect(store.current.entries.get(txnId(3))?.confirmed).toEqual(new Set())
  })

  test('and at once when its coordinator is not connected; what another shard has to confirm is counted', async () => {
    decide(1, 'commit')
    decide(2, 'commit', [1, 2])
    const r = recovery({ isOwnerConnected: () => false })
    expect(await r.tidy()).toBe(2)
    expect([...store.current.entries.keys()]).toEqual([txnId(2)])
    expect(await r.tidy()).toBe(1)
    store.current.confirm(txnId(2), 2)
    expect(await r.tidy()).toBe(0)
  })

  test('tombstones of a coordinator that is connected: shown to it, when they are no longer new', async () => {
    store.current.registered.add(incarnation)
    decide(1, 'abort')
    decide(2, 'commit')
    const shown: (readonly string[])[] = []
    let now = 0
    const r = recovery({
      isOwnerConnected: () => true,
      monoMs: () => now,
      onAbortsLeft: (owner, txnIds) => shown.push([owner, ...txnIds]),
    })
    await r.tidy()
    expect(shown).toEqual([])
    now += 10_000
    await r.tidy()
    expect(shown).toEqual([[coordinatorOf(txnId(1)), txnId(1)]])
  })

  test('tombstones of coordinators that are gone: swept', async () => {
    store.current.registered.add(incarnation)
    decide(1, 'abort')
    const r = recovery()
    await r.tidy()
    expect(store.current.entries.size).toBe(1)
    store.current.registered.delete(incarnation)
    await r.tidy()
    expect(store.current.entries.size).toBe(0)
  })
})
