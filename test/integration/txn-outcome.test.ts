import type pg from 'pg'
import { beforeAll, describe, expect, it } from 'vitest'
import { codeOf, useAccounts } from '../helpers/accounts.ts'
import { query } from '../helpers/postgres.ts'

const accounts = useAccounts()
let session: pg.Client
let other: pg.Client

beforeAll(async () => {
  await query(accounts.cluster.weftUrl, 'CREATE ROLE guest LOGIN; CREATE TABLE note (words text)')
})

async function open(): Promise<void> {
  session = await accounts.connect()
  other = await accounts.connect()
}

async function begin(modes = ''): Promise<string> {
  await session.query(`BEGIN ${modes}`)
  const { rows } = await session.query('SELECT weft.txn_id() AS id')
  return rows[0].id
}

async function outcome(id: string): Promise<unknown> {
  const { rows } = await other.query('SELECT weft.outcome($1)', [id])
  return rows[0].outcome
}

const add = (shard: number): Promise<unknown> =>
  session.query(`UPDATE account SET amount = amount + 1 WHERE id = ${accounts.on(shard)}`)

describe('what became of a transaction', () => {
  it.each([
    ['nothing but its id', [], ''],
    ['the home shard', [0], ''],
    ['another shard', [1], ''],
    ['two shards, REPEATABLE READ', [1, 2], 'ISOLATION LEVEL REPEATABLE READ'],
    ['one shard, SERIALIZABLE', [2], 'ISOLATION LEVEL SERIALIZABLE'],
  ] as const)('that writes on %s', async (_, shards, modes) => {
    await open()
    for (const [end, told] of [
      ['COMMIT', 'committed'],
      ['ROLLBACK', 'aborted'],
    ] as const) {
      const id = await begin(modes)
      for (const shard of shards) await add(shard)
      expect(await outcome(id)).toBe('in doubt')
      await session.query(end)
      expect([await outcome(id), await outcome(id)]).toEqual([told, told])
    }
  })

  it('whose session ends ahead of COMMIT: aborted', async () => {
    await open()
    const id = await begin()
    await add(1)
    await accounts.endAllBut(other)
    await expect.poll(() => outcome(id)).toBe('aborted')
  })

  it('that failed: aborted, also while it waits for its ROLLBACK', async () => {
    await open()
    const id = await begin()
    await add(1)
    await codeOf(session.query('SELECT 1/0'))
    expect(await outcome(id)).toBe('aborted')
    await session.query('COMMIT')
    expect(await outcome(id)).toBe('aborted')
  })

  it('a savepoint that is rolled back takes nothing of it along', async () => {
    await open()
    const id = await begin()
    await session.query('SAVEPOINT s')
    expect(await codeOf(session.query('SELECT weft.txn_id()'))).toBe('25001')
    await session.query('ROLLBACK TO s')
    await session.query('COMMIT')
    expect(await outcome(id)).toBe('committed')
  })

  it('roles without rights may ask, and see nothing else of it', async () => {
    await open()
    await Promise.all([session, other].map((each) => each.query('SET ROLE guest')))
    const id = await begin()
    await session.query('COMMIT')
    expect(await outcome(id)).toBe('committed')
    expect(await codeOf(other.query('SELECT * FROM weft.txn_marker'))).toBe('42501')
    const rights = ['txn_id()', 'txn_marker_outcome(text)', 'txn_markers_forget(float8)'].map(
      (name) => `has_function_privilege('guest', 'weft.${name}', 'EXECUTE')`,
    )
    const [may] = await accounts.direct(0, `SELECT ARRAY[${rights}] AS may`)
    expect(may).toEqual({ may: [true, false, false] })
  })

  it('is asked in both protocols, in a transaction block, and is NULL of NULL', async () => {
    await open()
    const id = await begin()
    await session.query('COMMIT')
    await other.query('BEGIN READ ONLY')
    expect((await other.query(`SELECT weft.outcome('${id}')`)).rows).toEqual([{ outcome: 'committed' }])
    expect(await outcome(id)).toBe('committed')
    await other.query('COMMIT')
    expect((await other.query('SELECT weft.outcome(NULL)')).rows).toEqual([{ outcome: null }])
  })

  it('of an id that nobody has had: an error', async () => {
    await open()
    const id = await begin()
    await session.query('COMMIT')
    const forged = id.replace(/.$/, (last) => (last === '0' ? '1' : '0'))
    for (const each of ['', 'x', "'", forged, 'weft:dev:c-0-1:0'])
      expect(await codeOf(outcome(each))).toBe('22023')
  })

  it('too long ago: unknown, if it is not kept; what is younger is told', async () => {
    await open()
    const old = await begin()
    await session.query('COMMIT')
    expect(await outcome(old)).toBe('committed')
    await accounts.direct(0, 'SELECT weft.txn_markers_forget(-60)')
    expect(await outcome(old)).toBe('unknown')
    const young = await begin()
    await session.query('ROLLBACK')
    expect(await outcome(young)).toBe('aborted')
  })

  it('is not for transactions that are READ ONLY', async () => {
    await open()
    await session.query('BEGIN READ ONLY')
    expect(await codeOf(session.query('SELECT weft.txn_id()'))).toBe('25006')
    await session.query('ROLLBACK')
  })
})
