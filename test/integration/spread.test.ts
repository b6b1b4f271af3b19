import pg from 'pg'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { cancel, codeOf, lockWaiters, useAccounts } from '../helpers/accounts.ts'
import { createTwins } from '../helpers/cluster.ts'
import { query } from '../helpers/postgres.ts'

/** Joins off the key of which one side is given to every shard: when, and what is left of those that fail. */

const accounts = useAccounts({ shards: 3 })
let client: pg.Client

const JOIN =
  'SELECT l.label, count(*)::int AS n, sum(f.val)::int AS sum FROM facts f JOIN labels l ON l.code = f.ref'
const GROUPED = `${JOIN} GROUP BY l.label ORDER BY 1`

beforeAll(async () => {
  const { cluster } = accounts
  await createTwins(cluster, 'CREATE TABLE facts (id int PRIMARY KEY, ref int, val int)', { shard_key: 'id' })
  const apart = { shard_key: 'code', colocate_with: 'none' }
  await createTwins(cluster, 'CREATE TABLE labels (code int PRIMARY KEY, label int)', apart)
  for (const url of [cluster.plainUrl, cluster.weftUrl]) {
    await query(url, 'INSERT INTO facts SELECT g, g % 400, g % 7 FROM generate_series(1, 20000) g')
    await query(url, 'INSERT INTO labels SELECT g, g % 5 FROM generate_series(0, 299) g')
    await query(url, 'ANALYZE facts, labels')
  }
})
beforeEach(async () => {
  client = await accounts.connect()
})
afterEach(async () => {
  await client.query('ROLLBACK')
  await accounts.quiet()
})

async function explained(sql: string): Promise<string[]> {
  const { rows } = await client.query<{ 'QUERY PLAN': string }>(`EXPLAIN ${sql}`)
  return rows.map((row) => row['QUERY PLAN'])
}

/** What EXPLAIN says is spread, without the numbers. */
async function spreadBy(sql: string): Promise<string | undefined> {
  const line = (await explained(sql)).find((text) => text.startsWith('  Spread: '))
  return line?.slice('  Spread: '.length).replace(/\d+/g, 'n')
}

const inBlock = (modes: string) => client.query(`BEGIN ${modes}`)

describe('which rows are spread', () => {
  const labels = 'labels (code, label), about n rows to where about n are'

  it.each([
    [GROUPED, labels],
    [
      'SELECT count(*) FROM facts WHERE ref IN (SELECT code FROM labels)',
      'labels (code), about n rows to where about n are',
    ],
    [
      'SELECT count(*) FROM facts f LEFT JOIN labels l ON l.code = f.ref WHERE l.code IS NULL',
      'labels (code), about n rows to where about n are',
    ],
    // Few of the larger, by its condition.
    [`${JOIN} WHERE f.id < 10 GROUP BY 1`, undefined],
    [
      'SELECT count(*) FROM facts a JOIN facts b ON a.ref = b.val WHERE b.id < 20',
      'facts (id, val), about n rows to where about n are',
    ],
    // Both are as large; every row of the answer is one of a shard's; neither side can stay.
    ['SELECT count(*) FROM facts a JOIN facts b ON a.ref = b.val', undefined],
    [JOIN.replace('count(*)', '1').replace('sum(f.val)', 'f.val'), undefined],
    ['SELECT count(*) FROM facts f FULL JOIN labels l ON l.code = f.ref', undefined],
    [
      'SELECT count(*), random() FROM facts f JOIN labels l ON l.code = f.ref AND f.val > random()',
      undefined,
    ],
  ])('%s', async (sql, spread) => {
    expect(await spreadBy(sql)).toBe(spread)
  })

  it('not beside code of users, which may write', async () => {
    await client.query('CREATE FUNCTION noted(n bigint) RETURNS bigint LANGUAGE sql AS $$ SELECT n $$')
    expect(
      await spreadBy('SELECT noted(count(*)) FROM facts f JOIN labels l ON l.code = f.ref'),
    ).toBeUndefined()
  })

  it('EXPLAIN ANALYZE runs both rounds', async () => {
    const lines = await explained(`(ANALYZE, COSTS off, TIMING off, SUMMARY off) ${GROUPED}`)
    expect(
      lines.filter((line) => /Spread:|Gathered:|-> {2}Shard|ProjectSet/.test(line)).length,
    ).toBeGreaterThan(7)
    expect(lines.some((line) => /ProjectSet \(actual rows=300/.test(line))).toBe(true)
  })

  it('weft.spread says otherwise', async () => {
    await client.query('SET weft.spread = never')
    expect(await spreadBy(GROUPED)).toBeUndefined()
    await client.query('SET weft.spread = always')
    expect(await spreadBy('SELECT count(*) FROM facts a JOIN facts b ON a.ref = b.val')).toMatch(/^facts/)
    expect((await client.query('SHOW weft.spread')).rows).toEqual([{ 'weft.spread': 'always' }])
    expect(await codeOf(client.query('SET weft.spread = sometimes'))).toBe('22023')
  })

  it.each(['', 'ISOLATION LEVEL REPEATABLE READ', 'ISOLATION LEVEL SERIALIZABLE READ ONLY'])(
    'in a block, %s',
    async (modes) => {
      await inBlock(modes)
      expect((await spreadBy(GROUPED)) !== undefined).toBe(modes !== '')
    },
  )
})

it('the answer is that of one Postgres, with parameters too', async () => {
  const plain = new pg.Client({ connectionString: accounts.cluster.plainUrl })
  await plain.connect()
  const sql = `${JOIN} WHERE f.val < $1 AND l.code <> $2 GROUP BY l.label HAVING count(*) > $3 ORDER BY 1`
  for (const params of [
    [3, 7, 0],
    [9, 0, 2000],
    [0, 0, 0],
  ]) {
    const { rows } = await plain.query(sql, params)
    for (const how of ['auto', 'always', 'never']) {
      await client.query(`SET weft.spread = ${how}`)
      expect([how, (await client.query(sql, params)).rows]).toEqual([how, rows])
    }
  }
  await plain.end()
})

describe('what fails leaves nothing behind', () => {
  async function nothingIsLeft(): Promise<void> {
    await accounts.quiet()
    for (const shard of [0, 1, 2]) {
      const temporary = await accounts.direct(
        shard,
        "SELECT relname FROM pg_class WHERE relpersistence = 't'",
      )
      expect(temporary).toEqual([])
    }
    expect(await codeOf(client.query(GROUPED))).toBe('ok')
  }

  it('a value that fails on a shard', async () => {
    const failing =
      'SELECT l.label, sum(1 / (f.id - 12001)) FROM facts f JOIN labels l ON l.code = f.ref GROUP BY 1'
    expect(await spreadBy(failing)).toBeDefined()
    expect(await codeOf(client.query(failing))).toBe('22012')
    await nothingIsLeft()
  })

  it('weft.max_gathered: the error names the table and its key', async () => {
    await client.query("SET weft.max_gathered = '1kB'")
    await expect(client.query(GROUPED)).rejects.toMatchObject({
      code: '54000',
      message: expect.stringContaining('"labels"'),
      hint: expect.stringContaining('"code"'),
    })
    await client.query('RESET weft.max_gathered')
    await nothingIsLeft()
  })

  /** While a shard waits: home for the sizes, another for the second round. */
  async function whileWaits(work: () => Promise<unknown>, shard = 1): Promise<string> {
    const holder = new pg.Client({ connectionString: accounts.cluster.weft.shards[shard]!.url })
    await holder.connect()
    await holder.query('BEGIN')
    await holder.query('LOCK TABLE facts IN ACCESS EXCLUSIVE MODE')
    const code = codeOf(client.query(GROUPED))
    await lockWaiters(accounts, shard, 1)
    await work()
    const found = await code
    await holder.query('ROLLBACK')
    await holder.end()
    return found
  }

  it('a client that cancels while the sizes are asked for', async () => {
    expect(await whileWaits(() => cancel(accounts, client), 0)).toBe('57014')
    await nothingIsLeft()
  })

  it('a client that cancels', async () => {
    expect(await whileWaits(() => cancel(accounts, client))).toBe('57014')
    await nothingIsLeft()
  })

  it('a backend that dies', async () => {
    const waiting = 'SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted'
    expect(await whileWaits(() => accounts.direct(1, waiting))).not.toBe('ok')
    await nothingIsLeft()
  })
})
