import { describe, expect, it } from 'vitest'
import type { Top } from '../../admin/api/schemas.ts'
import { codeOf, useAccounts } from '../helpers/accounts.ts'
import { connectTo, query } from '../helpers/postgres.ts'
import { runWeft } from '../helpers/weft-process.ts'

const accounts = useAccounts()
const url = (): string => accounts.cluster.weftUrl

const told = (text: string) =>
  query<{ calls: number; rows: number; shards: number; route: string; kind: string; ok: boolean }>(
    url(),
    `SELECT calls::int, rows::int, shards::int, route, kind,
            total_exec_time > 0 AND min_exec_time <= mean_exec_time AND mean_exec_time <= max_exec_time AS ok
       FROM weft.stat_statements WHERE query = '${text}'`,
  )

const metric = async (name: string): Promise<number> => {
  const text = await (await fetch(`${accounts.cluster.weft.adminUrl}/metrics`)).text()
  const line = text.split('\n').find((one) => one.startsWith(`${name} `))
  return line === undefined ? 0 : Number(line.slice(name.length + 1))
}

describe('weft.stat_statements', () => {
  it('tells calls, rows, shards and times by fingerprint, by either protocol and path', async () => {
    const client = await accounts.connect()
    await client.query('SELECT weft.stat_statements_reset()')
    for (let i = 0; i < 5; i++) await client.query(`SELECT amount FROM account WHERE id = ${i}`)
    for (let i = 0; i < 4; i++) await client.query('SELECT id FROM account WHERE id = $1', [1])
    for (let i = 0; i < 3; i++)
      await client.query({ name: 'p', text: 'UPDATE account SET amount = amount WHERE id = $1', values: [i] })
    await client.query('SELECT count(*) FROM account')
    await client.query('BEGIN')
    await client.query('UPDATE account SET amount = amount + 0')
    await client.query('COMMIT')
    const all = Number((await client.query('SELECT count(*) FROM account')).rows[0].count)
    await expect
      .poll(() => told('SELECT count(*) FROM account'))
      .toEqual([{ calls: 2, rows: 2, shards: 6, route: 'all', kind: 'SELECT', ok: true }])
    const one = { shards: 5, route: 'one', kind: 'SELECT', ok: true }
    expect(await told('SELECT amount FROM account WHERE id = $1')).toMatchObject([{ ...one, calls: 5 }])
    expect(await told('SELECT id FROM account WHERE id = $1')).toMatchObject([
      { ...one, calls: 4, shards: 4, rows: 4 },
    ])
    expect(await told('UPDATE account SET amount = amount WHERE id = $1')).toMatchObject([
      { calls: 3, kind: 'UPDATE' },
    ])
    expect(await told('UPDATE account SET amount = amount + $1')).toMatchObject([
      { calls: 1, rows: all, shards: 3 },
    ])
    expect((await told('COMMIT'))[0]!.calls).toBeGreaterThan(0)
  })

  it('is forgotten by stat_statements_reset(), which others than the administrator may not call; nor see texts', async () => {
    await query(url(), 'SELECT 4711')
    await expect.poll(() => told('SELECT $1')).not.toEqual([])
    await query(url(), 'SELECT weft.stat_statements_reset()')
    expect(await told('SELECT $1')).toEqual([])
    await query(url(), 'CREATE ROLE guest LOGIN')
    const guest = new URL(url())
    guest.username = 'guest'
    const client = await connectTo(guest.href)
    expect(await codeOf(client.query('SELECT weft.stat_statements_reset()'))).toBe('42501')
    expect(await codeOf(client.query('SELECT * FROM weft.statement_stat'))).toBe('42501')
    await query(url(), 'SELECT 4712')
    await expect
      .poll(async () => (await client.query('SELECT DISTINCT query FROM weft.stat_statements')).rows)
      .toEqual([{ query: '<insufficient privilege>' }])
    await client.end()
    await query(url(), 'DROP ROLE guest')
  })
})

describe('metrics', () => {
  it('count statements by kind and route, errors by SQLSTATE, and refusals by id', async () => {
    const client = await accounts.connect()
    const names = [
      'weft_statements_total{kind="DELETE",route="one"}',
      'weft_statement_seconds_count{route="one"}',
      'weft_errors_total{sqlstate="22012"}',
      'weft_errors_total{sqlstate="42601"}',
      'weft_refusals_total{id="unique_without_key"}',
    ]
    const before = await Promise.all(names.map(metric))
    const divide = 'SELECT 1 / amount - amount / 0 FROM account WHERE id = 1'
    for (let i = 0; i < 3; i++) {
      await client.query('DELETE FROM account WHERE id = -1')
      expect(await codeOf(client.query(divide))).toBe('22012')
    }
    expect(await codeOf(client.query('SELECT 1 / $1::int FROM account WHERE id = 1', [0]))).toBe('22012')
    expect(await codeOf(client.query('SELEC'))).toBe('42601')
    expect(await codeOf(client.query('ALTER TABLE account ADD UNIQUE (amount)'))).toBe('0A000')
    const after = await Promise.all(names.map(metric))
    expect(after.map((value, i) => value - before[i]!)).toEqual([3, 3, 4, 1, 1])
    expect(await metric('weft_plan_cache_lookups_total{result="hit"}')).toBeGreaterThan(0)
  })
})

describe('weft top', () => {
  it('tells what runs, who waits in a transaction, and what took most time', async () => {
    const [sleeper, idler] = [await accounts.connect(), await accounts.connect()]
    await idler.query('BEGIN')
    await idler.query('SELECT amount FROM account WHERE id = 1')
    const sleeps = codeOf(sleeper.query('SELECT pg_sleep(60)'))
    const look = async (): Promise<Top> =>
      (await (await fetch(`${accounts.cluster.weft.adminUrl}/api/top`)).json()) as Top
    await expect
      .poll(async () => (await look()).running.map((one) => one.query))
      .toEqual(['SELECT pg_sleep(60)'])
    const { code, stdout } = await runWeft(['top', '--admin', accounts.cluster.weft.adminUrl]).finished
    expect(code).toBe(0)
    expect(stdout).toMatch(/running\n.*seconds.*\n.*SELECT pg_sleep\(60\)/)
    expect(stdout).toMatch(/in transactions\n.*\n.*SELECT amount FROM account/)
    const found = await look()
    expect(found.transactions).toMatchObject([{ state: 'idle in transaction' }])
    expect(found.statements.length).toBeGreaterThan(3)
    await query(url(), `SELECT pg_cancel_backend(${found.running[0]!.pid})`)
    expect(await sleeps).toBe('57014')
    await idler.query('ROLLBACK')
  })
})
