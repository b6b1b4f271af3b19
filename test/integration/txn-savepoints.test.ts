import type pg from 'pg'
import { beforeEach, describe, expect, it } from 'vitest'
import { codeOf, useAccounts } from '../helpers/accounts.ts'

const accounts = useAccounts()
let client: pg.Client

beforeEach(async () => {
  client = await accounts.connect()
  await client.query('UPDATE account SET amount = 100')
  await client.query('BEGIN')
})

function set(shard: number, amount: number): Promise<unknown> {
  return client.query(`UPDATE account SET amount = ${amount} WHERE id = ${accounts.on(shard)}`)
}

/** Of the first account on each shard, as another session sees them. */
async function amounts(): Promise<number[]> {
  const other = await accounts.connect()
  const ids = [0, 1, 2].map((shard) => accounts.on(shard))
  const { rows } = await other.query<{ id: number; amount: number }>('SELECT id, amount FROM account')
  return ids.map((id) => rows.find((row) => row.id === id)!.amount)
}

describe('savepoints over shards', () => {
  it('ROLLBACK TO: undone on every shard touched since, on those that joined later too', async () => {
    await set(0, 1)
    await client.query('SAVEPOINT s')
    await set(0, 2)
    await set(1, 2)
    await client.query('ROLLBACK TO s')
    await set(2, 3)
    await client.query('COMMIT')
    expect(await amounts()).toEqual([1, 100, 3])
  })

  it('nested: each goes back as far as it was set, the outer one last', async () => {
    await client.query('SAVEPOINT outer_one')
    await set(0, 1)
    await client.query('SAVEPOINT inner_one')
    await set(1, 2)
    await set(0, 2)
    await client.query('ROLLBACK TO inner_one')
    await set(2, 3)
    await client.query('ROLLBACK TO inner_one')
    await client.query('COMMIT')
    expect(await amounts()).toEqual([1, 100, 100])
    await client.query('BEGIN')
    await set(0, 5)
    await client.query('SAVEPOINT a')
    await set(1, 6)
    await client.query('SAVEPOINT b')
    await set(2, 7)
    await client.query('ROLLBACK TO a')
    expect(await codeOf(client.query('ROLLBACK TO b'))).toBe('3B001')
    await client.query('ROLLBACK TO a')
    await client.query('COMMIT')
    expect(await amounts()).toEqual([5, 100, 100])
  })

  it('released: gone with those inside it, its work stays with the transaction', async () => {
    await client.query('SAVEPOINT s')
    await set(0, 1)
    await client.query('SAVEPOINT t')
    await set(1, 1)
    await client.query('RELEASE s')
    await set(2, 1)
    expect(await codeOf(client.query('ROLLBACK TO t'))).toBe('3B001')
    await client.query('ROLLBACK')
    expect(await amounts()).toEqual([100, 100, 100])
    await client.query('BEGIN')
    await client.query('SAVEPOINT s')
    await set(0, 1)
    await set(1, 1)
    await client.query('RELEASE s')
    await client.query('COMMIT')
    expect(await amounts()).toEqual([1, 1, 100])
  })

  it('of the same name twice: the newer hides the older until it is released', async () => {
    await client.query('SAVEPOINT s')
    await set(0, 1)
    await client.query('SAVEPOINT s')
    await set(1, 1)
    await client.query('ROLLBACK TO s')
    await client.query('RELEASE s')
    await set(2, 1)
    await client.query('ROLLBACK TO s')
    await client.query('COMMIT')
    expect(await amounts()).toEqual([100, 100, 100])
  })

  it('an error on one shard: the whole transaction is aborted; ROLLBACK TO takes all shards out of it', async () => {
    await set(0, 1)
    await client.query('SAVEPOINT s')
    await set(1, 2)
    expect(await codeOf(client.query(`UPDATE account SET amount = 1/0 WHERE id = ${accounts.on(2)}`))).toBe(
      '22012',
    )
    expect(await codeOf(set(0, 9))).toBe('25P02')
    expect(await codeOf(client.query('SAVEPOINT no'))).toBe('25P02')
    await client.query('ROLLBACK TO s')
    await set(2, 3)
    await client.query('COMMIT')
    expect(await amounts()).toEqual([1, 100, 3])
  })

  it('an error of a statement over all shards on one of them: the same', async () => {
    await set(0, 1)
    await client.query('SAVEPOINT s')
    const fails = `UPDATE account SET amount = 7 / (id - ${accounts.on(1)})`
    expect(await codeOf(client.query(fails))).toBe('22012')
    await client.query('ROLLBACK TO s')
    await client.query('COMMIT')
    expect(await amounts()).toEqual([1, 100, 100])
  })

  it('an error without a savepoint: COMMIT rolls back on every shard', async () => {
    await set(0, 1)
    await set(1, 1)
    expect(await codeOf(client.query(`UPDATE account SET amount = 1/0 WHERE id = ${accounts.on(2)}`))).toBe(
      '22012',
    )
    expect((await client.query('COMMIT')).command).toBe('ROLLBACK')
    expect(await amounts()).toEqual([100, 100, 100])
    await accounts.quiet()
  })

  it('an error that no shard has seen: ROLLBACK TO works on those that took part', async () => {
    await set(0, 1)
    await client.query('SAVEPOINT s')
    await set(1, 1)
    expect(await codeOf(client.query('SELECT nonsense FROM'))).toBe('42601')
    await client.query('ROLLBACK TO s')
    await client.query('COMMIT')
    expect(await amounts()).toEqual([1, 100, 100])
  })

  it('through the extended protocol: the same', async () => {
    const bound = (shard: number, amount: number) =>
      client.query('UPDATE account SET amount = $1 WHERE id = $2', [amount, accounts.on(shard)])
    await bound(0, 1)
    await client.query({ text: 'SAVEPOINT s', values: [] })
    await bound(1, 2)
    await client.query({ text: 'ROLLBACK TO SAVEPOINT s', values: [] })
    await bound(2, 3)
    await client.query({ text: 'COMMIT', values: [] })
    expect(await amounts()).toEqual([1, 100, 3])
  })
})
