import type pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lockWaiters, useAccounts } from '../helpers/accounts.ts'
import { connectTo, query } from '../helpers/postgres.ts'

const accounts = useAccounts()
let home: pg.Client

beforeEach(async () => {
  home = await connectTo(accounts.cluster.weft.shards[0]!.url)
  await query(accounts.cluster.weftUrl, 'CREATE TABLE note (id int, words text)')
})

afterEach(async () => {
  await home.end()
  await query(accounts.cluster.weftUrl, 'DROP INDEX IF EXISTS account_amount; DROP TABLE note')
})

/** In this order: some make what a later one needs. */
const maintenance = [
  'VACUUM account',
  'VACUUM (ANALYZE) account, note',
  'CREATE INDEX CONCURRENTLY account_amount ON account (amount)',
  'REINDEX TABLE CONCURRENTLY account',
  'DROP INDEX CONCURRENTLY account_amount',
  'ANALYZE account',
  'CREATE INDEX account_amount ON account (amount)',
  'VACUUM note',
  'ANALYZE note',
  'CREATE INDEX CONCURRENTLY note_id ON note (id)',
  'REINDEX TABLE note',
  'CREATE INDEX note_words ON note (words)',
  'DROP INDEX CONCURRENTLY note_id',
]

/** Reads over all shards work while what `run` begins waits for a lock; then it gets it. */
async function keepsNoReadWaiting(
  reader: pg.Client,
  sql: string,
  run: () => Promise<unknown>,
): Promise<void> {
  await home.query('BEGIN; LOCK TABLE account, note IN SHARE UPDATE EXCLUSIVE MODE')
  const done = run()
  done.catch(() => {})
  await lockWaiters(accounts, 0, 1)
  for (let i = 0; i < 2; i++) {
    const read = reader.query('SELECT count(*)::int AS n FROM account').catch((error: Error) => error)
    expect(await read, sql).toMatchObject({ rows: [{ n: 60 }] })
  }
  await lockWaiters(accounts, 0, 1)
  await home.query('COMMIT')
  await done
}

/** It changes no row, and can take minutes. */
describe('reads over all shards, and maintenance that waits for a lock', () => {
  it.each(['simple', 'extended'])('keeps none waiting, and goes through: %s protocol', async (protocol) => {
    const [session, reader] = [await accounts.connect(), await accounts.connect()]
    for (const sql of maintenance) {
      const query = protocol === 'simple' ? sql : { name: sql, text: sql }
      await keepsNoReadWaiting(reader, sql, () => session.query(query))
    }
  })

  it('nor does any other statement in a transaction block', async () => {
    const [session, reader] = [await accounts.connect(), await accounts.connect()]
    for (const sql of [
      'ALTER TABLE note ADD COLUMN more int',
      'TRUNCATE note',
      'ALTER TABLE note DROP more',
    ]) {
      await session.query('BEGIN')
      await keepsNoReadWaiting(reader, sql, () => session.query(sql))
      await session.query('COMMIT')
    }
  })

  it('an index that some shards have: IF NOT EXISTS makes it on the others', async () => {
    const session = await accounts.connect()
    const sql = 'CREATE INDEX CONCURRENTLY IF NOT EXISTS account_amount ON account (amount)'
    await accounts.direct(0, 'CREATE INDEX account_amount ON account (amount)')
    await session.query(sql)
    for (const shard of [0, 1, 2]) {
      const found = await accounts.direct(
        shard,
        "SELECT indisvalid FROM pg_index WHERE indexrelid = 'account_amount'::regclass",
      )
      expect(found).toEqual([{ indisvalid: true }])
    }
  })
})
