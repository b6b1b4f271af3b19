import type pg from 'pg'
import { afterEach, describe, expect, it } from 'vitest'
import { codeOf, useAccounts } from '../helpers/accounts.ts'

/** ALTER DATABASE … SET and ALTER ROLE … SET: what sessions begin with that come afterwards. */

const accounts = useAccounts()
const places = ['DATABASE postgres', 'ROLE postgres', 'ROLE ALL', 'ROLE postgres IN DATABASE postgres']
const settings = [
  ['statement_timeout', "'7s'", '7s'],
  ['transaction_timeout', "'8s'", '8s'],
  ['default_transaction_isolation', "'repeatable read'", 'repeatable read'],
  ['search_path', 'elsewhere, public', 'elsewhere, public'],
  ['work_mem', "'9MB'", '9MB'],
] as const

afterEach(async () => {
  const admin = await accounts.connect()
  for (const place of places) await admin.query(`ALTER ${place} RESET ALL`)
})

/** What SHOW says, and what is in force on each shard. */
async function inForce(client: pg.Client, name: string): Promise<readonly unknown[]> {
  const { rows } = await client.query(`SHOW ${name}`)
  const seen: unknown[] = Object.values(rows[0]!)
  for (const shard of [0, 1, 2]) {
    const id = accounts.on(shard)
    const { rows } = await client.query(
      `SELECT current_setting('${name}') AS value FROM account WHERE id = ${id}`,
    )
    seen.push(rows[0]!.value)
  }
  return seen
}

describe.each(places)('ALTER %s SET', (place) => {
  it.each(settings)(
    '%s = %s: for every new session, on every shard, until it is reset',
    async (name, value, shown) => {
      const admin = await accounts.connect()
      const before = await inForce(admin, name)
      expect(before).not.toContain(shown)
      await admin.query(`ALTER ${place} SET ${name} = ${value}`)
      expect(await inForce(await accounts.connect(), name)).toEqual(Array(4).fill(shown))
      await admin.query(`ALTER ${place} RESET ${name}`)
      expect(await inForce(await accounts.connect(), name)).toEqual(before)
    },
  )
})

it('in a transaction: when it commits, not before, and not when it is rolled back', async () => {
  const admin = await accounts.connect()
  for (const verb of ['ROLLBACK', 'COMMIT']) {
    await admin.query('BEGIN')
    await admin.query(`ALTER ROLE postgres SET work_mem = '9MB'`)
    expect(await inForce(await accounts.connect(), 'work_mem')).not.toContain('9MB')
    await admin.query(verb)
  }
  expect(await inForce(await accounts.connect(), 'work_mem')).toEqual(Array(4).fill('9MB'))
})

it('a transaction that is open meanwhile goes on, with what it has', async () => {
  const [admin, other] = [await accounts.connect(), await accounts.connect()]
  await other.query('BEGIN')
  const before = await inForce(other, 'work_mem')
  await admin.query(`ALTER DATABASE postgres SET work_mem = '9MB'`)
  expect(await inForce(other, 'work_mem')).toEqual(before)
  expect(await codeOf(other.query('COMMIT'))).toBe('ok')
})

it('the limits of statements and transactions are kept', async () => {
  const admin = await accounts.connect()
  // Not those of who sets and resets them.
  await admin.query('SET statement_timeout = 0; SET transaction_timeout = 0')
  const slow = `UPDATE account SET amount = amount + length(pg_sleep(5)::text) WHERE id = ${accounts.on(1)}`
  await admin.query(`ALTER ROLE postgres SET statement_timeout = '500ms'`)
  const hasty = await accounts.connect()
  expect(await codeOf(hasty.query(slow))).toBe('57014')
  await admin.query(`ALTER ROLE postgres RESET statement_timeout`)
  await admin.query(`ALTER ROLE postgres SET transaction_timeout = '500ms'`)
  const hastier = await accounts.connect()
  hastier.on('error', () => {})
  await hastier.query('BEGIN')
  expect(await codeOf(hastier.query(slow))).toBe('25P04')
  await admin.query(`ALTER ROLE postgres RESET transaction_timeout`)
})

it('default_transaction_isolation holds over shards', async () => {
  const admin = await accounts.connect()
  await admin.query(`ALTER DATABASE postgres SET default_transaction_isolation = 'repeatable read'`)
  const reader = await accounts.connect()
  await reader.query('BEGIN')
  const sum = async () => (await reader.query('SELECT sum(amount)::int AS n FROM account')).rows[0]!.n
  const before = await sum()
  await admin.query(`UPDATE account SET amount = amount + 1 WHERE id = ${accounts.on(1)}`)
  expect(await sum()).toBe(before)
  await reader.query('COMMIT')
  expect(await sum()).toBe(before + 1)
})
