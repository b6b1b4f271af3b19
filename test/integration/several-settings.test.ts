import { beforeAll, describe, expect, it } from 'vitest'
import { codeOf, useAccounts } from '../helpers/accounts.ts'

/** weft.scatter and weft.pushdown: whether statements may go to several shards, and what those do for them. */

const accounts = useAccounts()

beforeAll(async () => {
  const client = await accounts.connect()
  await client.query('CREATE TABLE kinds (kind int PRIMARY KEY) WITH (reference = true)')
  await client.query('CREATE TABLE copies (id int PRIMARY KEY, amount int) WITH (shard_key = id)')
})

async function noticesOf(setting: string, sql: string, params?: unknown[]): Promise<readonly unknown[]> {
  const client = await accounts.connect()
  const notices: unknown[] = []
  client.on('notice', (notice) => notices.push([notice.severity, notice.message, notice.hint]))
  await client.query(setting)
  await client.query('BEGIN')
  await client.query(sql, params)
  await client.query('ROLLBACK')
  return notices
}

const TOLD = [
  'NOTICE',
  'the statement goes to 3 shards: table "account" is sharded by "id" (weft.scatter)',
  'Restrict the shard key to one value, as in WHERE id = $1, or SET weft.scatter = allow.',
]

/** `$several`: keys of two shards. */
const several: readonly string[] = [
  'SELECT * FROM account',
  'SELECT count(*) FROM account',
  'SELECT * FROM account ORDER BY amount LIMIT 1',
  'SELECT amount, count(*) FROM account GROUP BY amount',
  'SELECT * FROM account, pg_type LIMIT 1',
  'UPDATE account SET amount = 1 WHERE amount < 0',
  'DELETE FROM account WHERE amount < (SELECT min(amount) FROM account)',
  'DECLARE c CURSOR FOR SELECT * FROM account',
  'DECLARE c CURSOR FOR SELECT * FROM account ORDER BY amount',
  'CREATE TABLE local AS SELECT * FROM account',
  'INSERT INTO copies SELECT id * 2, amount FROM account',
  'INSERT INTO copies SELECT * FROM account',
  'WITH a AS MATERIALIZED (SELECT * FROM account) SELECT * FROM a, a AS b LIMIT 1',
]

describe('weft.scatter', () => {
  it.each(several)('notice: %s', async (sql) => {
    const [notice, ...more] = await noticesOf('SET weft.scatter = notice', sql)
    expect(more).toEqual([])
    expect(notice).toEqual([TOLD[0], expect.stringContaining('table "account" is sharded by "id"'), TOLD[2]])
  })

  it('notice: with parameters, prepared or not, in full words; nothing where the client wants no notices', async () => {
    const sql = 'SELECT * FROM account WHERE amount > $1 ORDER BY 1'
    expect(await noticesOf('SET weft.scatter = notice', sql, [5])).toEqual([TOLD])
    expect(await noticesOf('SET weft.scatter = notice; SET client_min_messages = warning', sql, [5])).toEqual(
      [],
    )
    expect(await noticesOf('SET weft.scatter = allow', sql, [5])).toEqual([])
  })

  it('refuse: an error, and the session goes on', async () => {
    const client = await accounts.connect()
    await client.query('SET weft.scatter = refuse')
    for (const sql of several) {
      await client.query('BEGIN')
      expect([sql, await codeOf(client.query(sql))]).toEqual([sql, '54000'])
      await client.query('ROLLBACK')
    }
    const [a, b] = [accounts.on(0), accounts.on(1)]
    const spread = [
      `SELECT * FROM account WHERE id IN (${a}, ${b})`,
      `INSERT INTO copies VALUES (${a}, 1), (${b}, 1)`,
      'COPY account TO STDOUT',
      `COPY (SELECT * FROM account ORDER BY id) TO STDOUT`,
    ]
    for (const sql of spread) expect([sql, await codeOf(client.query(sql))]).toEqual([sql, '54000'])
    const single = [
      `SELECT * FROM account WHERE id = ${a}`,
      `SELECT count(*) FROM account WHERE id IN (${a}, ${accounts.on(0, 1)})`,
      `UPDATE account SET amount = 100 WHERE id = ${a}`,
      `INSERT INTO copies VALUES (${a}, 1)`,
      `DELETE FROM copies WHERE id = ${a}`,
      'INSERT INTO kinds VALUES (1), (2)',
      'DELETE FROM kinds',
      'SELECT count(*) FROM pg_class',
      'EXPLAIN SELECT count(*) FROM account',
    ]
    for (const sql of single) expect([sql, await codeOf(client.query(sql))]).toEqual([sql, 'ok'])
    await client.query('BEGIN')
    await client.query('SET LOCAL weft.scatter = allow')
    expect(await codeOf(client.query('SELECT count(*) FROM account'))).toBe('ok')
    await client.query('COMMIT')
    expect(await codeOf(client.query('SELECT count(*) FROM account'))).toBe('54000')
  })

  it.each(['ROLE postgres', 'DATABASE postgres', 'ROLE postgres IN DATABASE postgres'])(
    'ALTER %s SET: for every session that begins after it',
    async (place) => {
      const admin = await accounts.connect()
      expect(await codeOf(admin.query(`ALTER ${place} SET weft.scatter = never`))).toBe('22023')
      await admin.query(`ALTER ${place} SET weft.scatter = refuse`)
      const client = await accounts.connect()
      expect((await client.query('SHOW weft.scatter')).rows).toEqual([{ 'weft.scatter': 'refuse' }])
      expect(await codeOf(client.query('SELECT count(*) FROM account'))).toBe('54000')
      await client.query('SET weft.scatter = allow')
      expect(await codeOf(client.query('SELECT count(*) FROM account'))).toBe('ok')
      await client.query('RESET weft.scatter')
      expect(await codeOf(client.query('SELECT count(*) FROM account'))).toBe('54000')
      await admin.query(`ALTER ${place} RESET weft.scatter`)
      expect(await codeOf((await accounts.connect()).query('SELECT count(*) FROM account'))).toBe('ok')
    },
  )

  it('has three values, and allow is the one without a word', async () => {
    const client = await accounts.connect()
    expect((await client.query('SHOW weft.scatter')).rows).toEqual([{ 'weft.scatter': 'allow' }])
    expect(await codeOf(client.query('SET weft.scatter = sometimes'))).toBe('22023')
    await client.query('SET weft.scatter = NOTICE')
    expect((await client.query('SHOW weft.scatter')).rows).toEqual([{ 'weft.scatter': 'notice' }])
  })
})

describe('weft.pushdown', () => {
  const headline = async (sql: string, pushdown: string): Promise<string> => {
    const client = await accounts.connect()
    await client.query(`SET weft.pushdown = ${pushdown}`)
    const { rows } = await client.query(`EXPLAIN ${sql}`)
    return rows.map((row) => row['QUERY PLAN']).join('\n')
  }

  it.each([
    'SELECT * FROM account WHERE amount > 5',
    'SELECT count(*), sum(amount) FROM account',
    'SELECT a.id FROM account a JOIN account b ON a.id = b.id',
    'SELECT id, count(*) FROM account GROUP BY id',
    'SELECT * FROM account ORDER BY amount LIMIT 3',
  ])('off: rows of tables are gathered for %s', async (sql) => {
    const off = await headline(sql, 'off')
    expect(off).toContain('rows gathered')
    expect(off.split('The query over them')[0]).not.toMatch(/Filter|Limit|Aggregate|Join/)
    expect(await headline(sql, 'on')).not.toBe(off)
  })

  it('is a Boolean, and may be a default of a role', async () => {
    const client = await accounts.connect()
    expect((await client.query('SHOW weft.pushdown')).rows).toEqual([{ 'weft.pushdown': 'on' }])
    expect(await codeOf(client.query('SET weft.pushdown = maybe'))).toBe('22023')
    await client.query('ALTER ROLE postgres SET weft.pushdown = off')
    const later = await accounts.connect()
    expect((await later.query('SHOW weft.pushdown')).rows).toEqual([{ 'weft.pushdown': 'off' }])
    const { rows } = await later.query('EXPLAIN SELECT count(*) FROM account')
    expect(rows[0]['QUERY PLAN']).toContain('rows gathered')
    await client.query('ALTER ROLE postgres RESET weft.pushdown')
  })

  it('what was prepared is planned again', async () => {
    const client = await accounts.connect()
    const prepared = {
      name: 'p',
      text: 'SELECT count(*)::int AS n FROM account WHERE amount > $1',
      values: [0],
    }
    expect((await client.query(prepared)).rows).toEqual([{ n: 60 }])
    await client.query('SET weft.pushdown = off')
    await client.query("SET weft.max_gathered = '100B'")
    expect(await codeOf(client.query(prepared))).toBe('54000')
    await client.query('RESET weft.pushdown')
    expect((await client.query(prepared)).rows).toEqual([{ n: 60 }])
  })
})
