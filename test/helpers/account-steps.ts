import type pg from 'pg'
import type { Accounts } from './accounts.ts'

/** What tests of isolation do with the table of accounts.ts, and how their transactions begin. */
export const RC = 'BEGIN ISOLATION LEVEL READ COMMITTED'
export const RR = 'BEGIN ISOLATION LEVEL REPEATABLE READ'
export const SERIALIZABLE = 'BEGIN ISOLATION LEVEL SERIALIZABLE'

/** Three sessions, and accounts on shards of their own, with 100 each. */
export async function threeOf(accounts: Accounts) {
  const [a, b, c] = [await accounts.connect(), await accounts.connect(), await accounts.connect()]
  await a.query('DELETE FROM account WHERE id > 1000')
  await a.query('UPDATE account SET amount = 100')
  return { a, b, c, x: accounts.on(0), y: accounts.on(1), z: accounts.on(2) }
}

export async function read(client: pg.Client, id: number): Promise<number> {
  const { rows } = await client.query<{ amount: number }>(`SELECT amount FROM account WHERE id = ${id}`)
  return rows[0]!.amount
}

/** The amounts of several accounts, by one statement over their shards. */
export async function readThese(client: pg.Client, ids: readonly number[]): Promise<number[]> {
  const { rows } = await client.query<{ id: number; amount: number }>(
    `SELECT id, amount FROM account WHERE id IN (${ids.join(', ')})`,
  )
  return ids.map((id) => rows.find((row) => row.id === id)!.amount)
}

export async function count(client: pg.Client, where = 'true'): Promise<number> {
  const { rows } = await client.query<{ n: number }>(`SELECT count(*)::int AS n FROM account WHERE ${where}`)
  return rows[0]!.n
}

export const set = (client: pg.Client, id: number, amount: number): Promise<unknown> =>
  client.query(`UPDATE account SET amount = ${amount} WHERE id = ${id}`)

export const run = (client: pg.Client, sql: string): Promise<unknown> => client.query(sql)

/** Several updates in one transaction. */
export async function commitAll(
  client: pg.Client,
  amounts: readonly (readonly [number, number])[],
): Promise<void> {
  await client.query('BEGIN')
  for (const [id, amount] of amounts) await set(client, id, amount)
  await client.query('COMMIT')
}
