import type pg from 'pg'
import { beforeEach, describe, expect, it } from 'vitest'
import { codeOf, useAccounts } from '../helpers/accounts.ts'

const accounts = useAccounts()
let client: pg.Client

beforeEach(async () => {
  client = await accounts.connect()
})

function take(session: pg.Client, shard: number): Promise<unknown> {
  return session.query(`UPDATE account SET amount = amount + 1 WHERE id = ${accounts.on(shard)}`)
}

async function holdRow(shard: number): Promise<pg.Client> {
  const holder = await accounts.connect()
  await holder.query('BEGIN')
  await take(holder, shard)
  return holder
}

async function sum(): Promise<number> {
  const other = await accounts.connect()
  return Number((await other.query<{ n: string }>('SELECT sum(amount) AS n FROM account')).rows[0]!.n)
}

describe('statement_timeout', () => {
  it('a statement over all shards that one of them holds up: 57014, undone on all', async () => {
    const before = await sum()
    const holder = await holdRow(1)
    await client.query('SET statement_timeout = 200')
    await expect(client.query('UPDATE account SET amount = amount + 1')).rejects.toMatchObject({
      code: '57014',
      message: 'canceling statement due to statement timeout',
    })
    await holder.query('ROLLBACK')
    expect(await sum()).toBe(before)
    await accounts.quiet()
  })

  it('a read of all shards: 57014', async () => {
    await client.query('SET statement_timeout = 200')
    expect(await codeOf(client.query('SELECT pg_sleep(2) FROM account'))).toBe('57014')
    expect(await codeOf(client.query('SELECT id FROM account WHERE pg_sleep(2) IS NOT NULL'))).toBe('57014')
    await accounts.quiet()
  })

  it('in a transaction over shards: it is aborted everywhere; set by SET LOCAL, it ends with it', async () => {
    const before = await sum()
    const holder = await holdRow(2)
    await client.query('BEGIN')
    await take(client, 0)
    await take(client, 1)
    await client.query('SET LOCAL statement_timeout = 200')
    expect(await codeOf(take(client, 2))).toBe('57014')
    expect(await codeOf(take(client, 0))).toBe('25P02')
    await client.query('ROLLBACK')
    await holder.query('ROLLBACK')
    expect((await client.query('SHOW statement_timeout')).rows).toEqual([{ statement_timeout: '0' }])
    expect(await sum()).toBe(before)
    await accounts.quiet()
  })

  it('set in the midst of a transaction: holds on shards that take part already, and on later ones', async () => {
    await client.query('BEGIN')
    await take(client, 0)
    // What is to succeed under it, SAVEPOINT and ROLLBACK TO, has plenty of time.
    await client.query("SET statement_timeout = '2s'")
    const slow = (shard: number) =>
      codeOf(client.query(`SELECT pg_sleep(5) FROM account WHERE id = ${accounts.on(shard)}`))
    await client.query('SAVEPOINT s')
    expect(await slow(0)).toBe('57014')
    await client.query('ROLLBACK TO s')
    expect(await slow(1)).toBe('57014')
    await client.query('ROLLBACK')
    await accounts.quiet()
  })
})

describe('lock_timeout', () => {
  it('on one shard of a transaction, and of a statement over all: 55P03', async () => {
    const before = await sum()
    const holder = await holdRow(1)
    await client.query('SET lock_timeout = 200')
    expect(await codeOf(client.query('UPDATE account SET amount = amount + 1'))).toBe('55P03')
    await client.query('BEGIN')
    await take(client, 0)
    expect(await codeOf(take(client, 1))).toBe('55P03')
    await client.query('ROLLBACK')
    await holder.query('ROLLBACK')
    expect(await sum()).toBe(before)
    await accounts.quiet()
  })
})

describe('idle_in_transaction_session_timeout', () => {
  it('a transaction over shards: the session is gone, and nothing is left', async () => {
    const before = await sum()
    await client.query("SET idle_in_transaction_session_timeout = '200ms'")
    // In one message, between whose statements it is not idle.
    const takes = [0, 1].map((shard) => `UPDATE account SET amount = 1 WHERE id = ${accounts.on(shard)}`)
    await client.query(`BEGIN; ${takes.join('; ')}`)
    await gone(0, 'account')
    await gone(1, 'account')
    expect(await codeOf(client.query('COMMIT'))).not.toBe('ok')
    expect(await sum()).toBe(before)
    await accounts.quiet()
  })
})

describe('transaction_timeout', () => {
  it('a transaction over shards that lasts too long: aborted with 25P04, nothing is left', async () => {
    const before = await sum()
    await client.query('BEGIN')
    await take(client, 0)
    await take(client, 1)
    await client.query("SET transaction_timeout = '400ms'")
    expect(await codeOf(client.query(`SELECT pg_sleep(5) FROM account WHERE id = ${accounts.on(1)}`))).toBe(
      '25P04',
    )
    await client.query('ROLLBACK').catch(() => {})
    expect(await sum()).toBe(before)
    await accounts.quiet()
  })
})

describe('an error', () => {
  it('in a transaction without savepoints: no shard keeps a lock until ROLLBACK', async () => {
    for (const fails of ['SELECT 1/0', 'SELECT nonsense FROM', 'UPDATE account SET amount = 1/0']) {
      await client.query('BEGIN')
      for (const shard of [0, 1, 2]) await take(client, shard)
      expect(await codeOf(client.query(fails))).not.toBe('ok')
      const other = await accounts.connect()
      for (const shard of [0, 1, 2]) await take(other, shard)
      expect(await codeOf(client.query('SELECT 1'))).toBe('25P02')
      expect(await codeOf(client.query('ROLLBACK TO s'))).toBe('3B001')
      expect((await client.query('COMMIT')).command).toBe('ROLLBACK')
    }
    await accounts.quiet()
  })
})

describe('pg_terminate_backend', () => {
  it('of one shard of an idle transaction: the next statement there fails, ROLLBACK works, the session goes on', async () => {
    const before = await sum()
    await client.query('BEGIN')
    await take(client, 0)
    await take(client, 1)
    await terminate(1)
    expect(await codeOf(take(client, 1))).toBe('57P01')
    expect(await codeOf(take(client, 0))).toBe('25P02')
    await client.query('ROLLBACK')
    expect(await codeOf(take(client, 1))).toBe('ok')
    expect(await sum()).toBe(before + 1)
    await accounts.quiet()
  })

  it('of one shard, and then COMMIT: it fails, nothing is committed', async () => {
    const before = await sum()
    await client.query('BEGIN')
    await take(client, 0)
    await take(client, 1)
    await terminate(1)
    expect(await codeOf(client.query('COMMIT'))).not.toBe('ok')
    expect(await sum()).toBe(before)
    await accounts.quiet()
  })

  it('of one shard, and then ROLLBACK TO: refused; ROLLBACK works', async () => {
    const before = await sum()
    await client.query('BEGIN')
    await take(client, 0)
    await take(client, 1)
    await client.query('SAVEPOINT s')
    await terminate(1)
    expect(await codeOf(client.query('ROLLBACK TO s'))).not.toBe('ok')
    await client.query('ROLLBACK')
    expect(await sum()).toBe(before)
    await accounts.quiet()
  })
})

const IN_TRANSACTION = `SELECT pid FROM pg_stat_activity
  WHERE state LIKE 'idle in transaction%' AND pid <> pg_backend_pid()`

async function terminate(shard: number): Promise<void> {
  await accounts.direct(shard, `SELECT pg_terminate_backend(pid, 5000) FROM (${IN_TRANSACTION}) AS t`)
}

/** Resolves once no transaction that touched the table is open on the shard. */
async function gone(shard: number, table: string): Promise<void> {
  const touched = `SELECT 1 FROM pg_locks WHERE relation = '${table}'::regclass AND pid <> pg_backend_pid()`
  while ((await accounts.direct(shard, touched)).length > 0);
}
