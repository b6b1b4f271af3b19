import type pg from 'pg'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { codeOf, lockWaiters, useAccounts } from '../helpers/accounts.ts'
import { connectTo, query } from '../helpers/postgres.ts'

const accounts = useAccounts()
let locker: pg.Client

/** `sale` takes ids from a sequence of the cluster: the text that its shard gets is not the client's. */
beforeAll(async () => {
  const url = accounts.cluster.weftUrl
  await query(url, `CREATE TABLE sale (id bigserial, shop int) WITH (shard_key = 'shop')`)
  await query(url, 'CREATE TABLE note (id int, words text)')
})

/** What a statement is told whose backend on a shard dies while it waits for a lock there. */
async function toldByDying(shard: number, sql: string): Promise<string> {
  locker = await connectTo(accounts.cluster.weft.shards[shard]!.url)
  const tables = shard === 0 ? 'account, sale, note' : 'account, sale'
  await locker.query(`BEGIN; LOCK TABLE ${tables} IN SHARE ROW EXCLUSIVE MODE`)
  const session = await accounts.connect()
  const told = codeOf(session.query(sql))
  await lockWaiters(accounts, shard, 1)
  await accounts.direct(shard, 'SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE NOT granted')
  return told
}

afterEach(() => locker.end())

describe('the connection to a shard breaks under a statement', () => {
  it.each([
    'UPDATE account SET amount = 0 WHERE id = $id',
    'INSERT INTO sale (id, shop) VALUES (1, $id)',
    'INSERT INTO sale (shop) VALUES ($id)',
    'INSERT INTO sale (id, shop) VALUES (1, abs($id))',
  ])('that commits by itself: it may have (%s)', async (sql) => {
    expect(await toldByDying(1, sql.replace('$id', String(accounts.on(1))))).toBe('08007')
  })

  it.each([
    'CREATE INDEX ON note (words)',
    'CREATE INDEX CONCURRENTLY ON account (amount)',
    'DO $$BEGIN INSERT INTO note VALUES (1); COMMIT; END$$',
  ])('that commits by itself on the home shard: it may have (%s)', async (sql) => {
    expect(await toldByDying(0, sql)).toBe('08007')
  })

  it.each([
    [0, 'ALTER TABLE note ADD COLUMN more int'],
    [0, 'TRUNCATE note'],
    [0, 'DO $$BEGIN INSERT INTO note VALUES (1); END$$'],
    [1, 'EXPLAIN ANALYZE UPDATE account SET amount = 0 WHERE id = $id'],
  ] as const)('on shard %i whose commit is sent apart: it has not (%s)', async (shard, sql) => {
    expect(await toldByDying(shard, sql.replace('$id', String(accounts.on(1))))).toBe('57P01')
  })

  it.each([
    'UPDATE account SET amount = 0',
    'INSERT INTO sale (shop) SELECT id FROM generate_series(1, 100) id',
    'ALTER TABLE sale ADD COLUMN more int',
  ])('of a transaction that Weft commits later: it has not (%s)', async (sql) => {
    expect(await toldByDying(0, sql)).toBe('57P01')
  })
})
