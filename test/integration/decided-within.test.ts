import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { PostgresTxnLog } from '../../txn/log/postgres-txn-log.ts'
import type { DecisionRecord } from '../../txn/log/txn-log.ts'
import { connectTo, query, startPostgres, type TestPostgres } from '../helpers/postgres.ts'

/** The record of a decision as a part of the transaction that it is about (txn/log/postgres-txn-log-sql.ts). */
let server: TestPostgres
let log: PostgresTxnLog
let client: pg.Client

beforeAll(async () => {
  server = await startPostgres()
  log = await PostgresTxnLog.open({ url: server.url, coordinatorId: 'c' })
  await query(server.url, 'GRANT USAGE ON SCHEMA weft TO PUBLIC')
  await query(server.url, 'CREATE ROLE app LOGIN; GRANT CREATE ON SCHEMA public TO app')
  const url = new URL(server.url)
  url.username = 'app'
  client = await connectTo(url.href)
})
afterAll(async () => {
  await client.end()
  await log.close()
  await server.stop()
})

let number = 0
const recordOf = (txnId = `${log.incarnation()}-${++number}`): DecisionRecord => ({
  version: 1,
  txnId,
  decision: 'commit',
  commitTs: 7n,
  participants: [1, 2],
  writer: `${txnId}#1`,
})

async function begin(on = client): Promise<string> {
  await on.query('BEGIN')
  const { rows } = await on.query<{ xid: string }>('SELECT pg_current_xact_id()::text AS xid')
  return rows[0]!.xid
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'done',
    (error: unknown) => (error as pg.DatabaseError).code ?? String(error),
  )

test('it is there when the transaction commits, and not before; a role of clients writes it', async () => {
  const record = recordOf()
  const xid = await begin()
  await client.query(log.within!.sql(record, xid))
  expect(await log.list(10)).toEqual([])
  await client.query('COMMIT')
  expect(await log.lookup(record.txnId)).toEqual({ kind: 'record', record })
  expect(await log.create({ ...record, decision: 'abort' })).toEqual({ kind: 'exists', record })
  for (const shard of [1, 2]) await log.confirm(record.txnId, shard)
  expect(await log.lookup(record.txnId)).toEqual({ kind: 'absent', ownerRegistered: true })
})

test('rolled back: it is not there', async () => {
  const record = recordOf()
  const xid = await begin()
  await client.query(log.within!.sql(record, xid))
  await client.query('ROLLBACK')
  expect(await log.lookup(record.txnId)).toMatchObject({ kind: 'absent' })
})

test('it cannot be forged: not in another transaction, not for another record, and the secret is not to be read', async () => {
  const record = recordOf()
  const xid = await begin()
  const sql = log.within!.sql(record, xid)
  await client.query('ROLLBACK')
  await begin()
  expect(await codeOf(client.query(sql))).toBe('42501')
  await client.query('ROLLBACK')
  const again = log.within!.sql(record, await begin())
  expect(await codeOf(client.query(again.replaceAll(record.txnId, `${record.txnId}1`)))).toBe('42501')
  await client.query('ROLLBACK')
  for (const table of ['txn_secret', 'txn_log', 'txn_coordinator'])
    expect(await codeOf(client.query(`SELECT * FROM weft.${table}`))).toBe('42501')
  expect(await log.list(10)).toEqual([])
})

test("a user's own operators and functions, ahead in search_path, change nothing", async () => {
  await client.query(`CREATE FUNCTION public.yes(text, text) RETURNS bool LANGUAGE sql AS 'SELECT true';
    CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.yes)`)
  await client.query('SET search_path = public, pg_catalog')
  await begin()
  expect(await codeOf(client.query(log.within!.sql(recordOf(), '1')))).toBe('42501')
  await client.query('ROLLBACK; RESET search_path; DROP OPERATOR public.= (text, text)')
})

test('recovery was first: the abort stands', async () => {
  const record = recordOf()
  await log.create({ ...record, decision: 'abort', commitTs: 0n, participants: [] })
  const xid = await begin()
  expect(await codeOf(client.query(log.within!.sql(record, xid)))).toBe('WT001')
  await client.query('ROLLBACK')
  await log.drop([record.txnId])
  await log.settled()
})

test('recovery asks while it commits: it waits, and finds what became of it', async () => {
  const [kept, undone] = [recordOf(), recordOf()]
  for (const [record, end] of [
    [kept, 'COMMIT'],
    [undone, 'ROLLBACK'],
  ] as const) {
    const xid = await begin()
    await client.query(log.within!.sql(record, xid))
    const asked = log.create({ ...record, decision: 'abort', commitTs: 0n, participants: [] })
    await until(() => waiting())
    await client.query(end)
    const { kind } = await asked
    expect(kind).toBe(end === 'COMMIT' ? 'exists' : 'created')
  }
  await log.drop([kept.txnId, undone.txnId])
  await log.settled()
})

test('a coordinator that is not registered any more: fenced; its registration does not end while one commits', async () => {
  const other = await PostgresTxnLog.open({ url: server.url, coordinatorId: 'd' })
  const record = recordOf(`${other.incarnation()}-1`)
  const xid = await begin()
  await client.query(other.within!.sql(record, xid))
  const deleting = query(
    server.url,
    `DELETE FROM weft.txn_coordinator WHERE incarnation = '${other.incarnation()}'`,
  )
  await until(() => waiting())
  await client.query('COMMIT')
  await deleting
  // Whoever sees that it is gone sees what was written under it.
  expect(await log.lookup(record.txnId)).toEqual({ kind: 'record', record })
  const late = { ...record, txnId: `${record.txnId}9` }
  const sql = other.within!.sql(late, await begin())
  expect(await codeOf(client.query(sql))).toBe('WT002')
  await client.query('ROLLBACK')
  await other.close()
})

test('a heartbeat does not wait for one that commits', async () => {
  const xid = await begin()
  await client.query(log.within!.sql(recordOf(), xid))
  const beat = `UPDATE weft.txn_coordinator SET seen = now() WHERE incarnation = '${log.incarnation()}' RETURNING 1 AS n`
  expect(await query(server.url, beat)).toEqual([{ n: 1 }])
  await client.query('ROLLBACK')
})

/** Somebody waits for a lock. */
async function waiting(): Promise<boolean> {
  const sql = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
  return (await query<{ n: number }>(server.url, sql))[0]!.n > 0
}

async function until(what: () => Promise<boolean>): Promise<void> {
  await expect.poll(what).toBe(true)
}
