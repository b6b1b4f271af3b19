import type pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { query as sqlMessage } from '../../protocol/wire/frontend-messages.ts'
import { PER_SHARD, useAccounts } from '../helpers/accounts.ts'
import { accountsForTransfers, readWhile, startTransfers, type Transfers } from '../helpers/bank.ts'
import { WireClient } from '../helpers/wire-client.ts'
import type { BackendMessage } from '../helpers/wire-decode.ts'

const SHARDS = 3
const ROWS = SHARDS * PER_SHARD
const TOTAL = ROWS * 100
const READS = 60
/** Accounts that no transfer touches, one on each shard. */
const QUIET = PER_SHARD - 1

const accounts = useAccounts({ shards: SHARDS })
let transfers: Transfers
let client: pg.Client

beforeAll(async () => {
  const ids = accountsForTransfers(accounts, SHARDS, 8)
  transfers = await startTransfers(accounts.cluster.weftUrl, { ids })
})
afterAll(() => transfers?.stop())
beforeEach(async () => {
  client = await accounts.connect()
})

interface Row {
  readonly id: number
  readonly amount: number
}

async function rows(): Promise<Row[]> {
  const all = (await client.query<Row>('SELECT id, amount FROM account')).rows
  return all.sort((a, b) => a.id - b.id)
}

const totalOf = (all: readonly Row[]): number => all.reduce((sum, { amount }) => sum + amount, 0)

async function total(): Promise<number> {
  return Number((await client.query<{ n: string }>('SELECT sum(amount) AS n FROM account')).rows[0]!.n)
}

/** Parts of the total, each made in another way: of partial values, of the rows of a join, of rows that are gathered. */
const WHOLE: readonly string[] = [
  'SELECT id % 7 AS g, sum(amount) AS n FROM account GROUP BY 1',
  'SELECT id % 3 AS g, sum(amount) AS n, count(DISTINCT id % 5) FROM account GROUP BY 1 HAVING count(*) > 0 ORDER BY 2',
  'SELECT a.id % 5 AS g, sum(b.amount) AS n FROM account a JOIN account b ON a.id = b.id GROUP BY 1',
  'SELECT amount AS n FROM account WHERE id < 0 UNION ALL SELECT sum(amount) FROM account',
  'SELECT a.id, b.amount AS n FROM account a JOIN account b ON a.id = b.id ORDER BY b.amount, a.id',
  'SELECT max(a.amount) AS n FROM account a, account b WHERE a.id = b.id + 0 GROUP BY b.id',
  'SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY amount) * 0 + sum(amount) AS n FROM account',
  `WITH g AS (SELECT id % 4 AS k, sum(amount) AS n FROM account GROUP BY 1)
    SELECT x.k, x.n FROM g x JOIN g y ON x.k = y.k AND x.n = y.n`,
  'SELECT a.id % 5 AS g, sum(a.amount + abs(a.amount - b.amount)) AS n FROM account a JOIN account b ON a.id = b.id + 0 GROUP BY 1',
]

const change = (by: number): Promise<unknown> =>
  client.query('UPDATE account SET amount = amount + $1 WHERE id = $2', [by, accounts.on(1, QUIET)])

describe('the total of all accounts, while money moves between shards', () => {
  it('the sum by one statement: exact each time', async () => {
    await readWhile(transfers, READS, async () => expect(await total()).toBe(TOTAL))
  })

  it('count, sum, avg together, with bound parameters: exact each time', async () => {
    const sql =
      'SELECT count(*)::int AS n, sum(amount)::int AS sum, avg(amount)::float AS avg FROM account WHERE id > $1'
    await readWhile(transfers, READS, async () => {
      expect((await client.query(sql, [0])).rows).toEqual([{ n: ROWS, sum: TOTAL, avg: 100 }])
    })
  })

  it('row by row: every row, and the exact total', async () => {
    await readWhile(transfers, READS, async () => {
      const all = await rows()
      expect(all).toHaveLength(ROWS)
      expect(totalOf(all)).toBe(TOTAL)
    })
  })

  it.each(WHOLE)(
    '%s: exact each time, with weft.pushdown = off and weft.spread = always as well',
    async (sql) => {
      const whole = `SELECT sum(n)::int AS n FROM (${sql}) AS parts`
      const general = await accounts.connect()
      await general.query('SET weft.pushdown = off')
      const spreading = await accounts.connect()
      await spreading.query('SET weft.spread = always')
      await readWhile(transfers, READS / 6, async () => {
        for (const reader of [client, general, spreading])
          expect((await reader.query(whole)).rows).toEqual([{ n: TOTAL }])
        const { rows: parts } = await client.query<{ n: string }>(sql)
        expect(parts.reduce((sum, { n }) => sum + Number(n), 0)).toBe(TOTAL)
      })
    },
  )

  it('several readers at once, which share cuts: exact each time', async () => {
    const readers = [client, await accounts.connect(), await accounts.connect(), await accounts.connect()]
    await readWhile(transfers, READS / 2, async () => {
      const sums = readers.map((reader) => reader.query('SELECT sum(amount)::int AS sum FROM account'))
      const answers = await Promise.all(sums)
      expect(answers.map((answer) => answer.rows)).toEqual(readers.map(() => [{ sum: TOTAL }]))
    })
  })

  it('a READ COMMITTED block that has itself written: exact, with its own change', async () => {
    await readWhile(transfers, READS / 2, async () => {
      await client.query('BEGIN')
      await change(7)
      expect(await total()).toBe(TOTAL + 7)
      await change(-10)
      expect(totalOf(await rows())).toBe(TOTAL - 3)
      await change(3)
      expect(await total()).toBe(TOTAL)
      await client.query('COMMIT')
    })
  })

  it('INSERT … SELECT of the total into a local table in a block: exact', async () => {
    await client.query('CREATE TABLE totals (n int)')
    await readWhile(transfers, READS / 2, async () => {
      await client.query('BEGIN')
      const sum = await total()
      await client.query('INSERT INTO totals VALUES ($1)', [sum])
      await client.query('COMMIT')
    })
    const { rows: wrong } = await client.query(`SELECT n FROM totals WHERE n <> ${TOTAL}`)
    expect(wrong).toEqual([])
  })
})

describe('COPY TO of all accounts, while money moves between shards', () => {
  let wire: WireClient
  beforeEach(async () => {
    const { host, port } = accounts.cluster.weft
    wire = await WireClient.connect({ host, port })
  })
  afterEach(() => wire.end())

  const run = (sql: string): Promise<BackendMessage[]> => {
    wire.write(sqlMessage(sql))
    return wire.until('ReadyForQuery')
  }

  async function copied(sql: string): Promise<{ rows: number; total: number }> {
    const messages = await run(sql)
    expect(messages.map(({ name }) => name)).not.toContain('NoticeResponse')
    const amounts = messages.flatMap(({ name, text }) => (name === 'CopyData' ? amountIn(text) : []))
    return { rows: amounts.length, total: amounts.reduce((sum, amount) => sum + amount, 0) }
  }

  it.each(['COPY account TO STDOUT', 'COPY (SELECT id, amount FROM account WHERE id > 0) TO STDOUT'])(
    '%s: by itself, in a READ COMMITTED block, and in a REPEATABLE READ block: exact',
    async (sql) => {
      await readWhile(transfers, READS / 3, async () => {
        expect(await copied(sql)).toEqual({ rows: ROWS, total: TOTAL })
        await run('BEGIN')
        await run(`UPDATE account SET amount = amount + 5 WHERE id = ${accounts.on(1, QUIET)}`)
        expect(await copied(sql)).toEqual({ rows: ROWS, total: TOTAL + 5 })
        await run('ROLLBACK')
        await run('BEGIN ISOLATION LEVEL REPEATABLE READ')
        expect(await copied(sql)).toEqual({ rows: ROWS, total: TOTAL })
        await run('ROLLBACK')
      })
    },
  )
})

/** Of a row of text format, as the wire client shows it. */
const amountIn = (text: string): number =>
  Number(/\t(\d+)/.exec(JSON.parse(text.slice(text.indexOf('"'))))![1])

describe('a snapshot for the whole transaction', () => {
  /** Several statements: the same rows each time, whichever way they are read. */
  async function sameRows(): Promise<void> {
    const first = await rows()
    expect(totalOf(first)).toBe(TOTAL)
    expect(await total()).toBe(TOTAL)
    for (let shard = 0; shard < SHARDS; shard++) {
      const id = accounts.on(shard)
      const one = await client.query<Row>('SELECT id, amount FROM account WHERE id = $1', [id])
      expect(one.rows).toEqual(first.filter((row) => row.id === id))
    }
    expect(await rows()).toEqual(first)
  }

  it.each([
    'BEGIN ISOLATION LEVEL REPEATABLE READ',
    'BEGIN; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ',
    'BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY',
    'BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY',
  ])('%s: exact, and the same rows throughout', async (begin) => {
    await readWhile(transfers, READS / 3, async () => {
      await client.query(begin)
      await sameRows()
      await client.query('COMMIT')
    })
  })

  it('default_transaction_isolation: exact, and the same rows throughout', async () => {
    await client.query("SET default_transaction_isolation = 'repeatable read'")
    await readWhile(transfers, READS / 3, async () => {
      await client.query('BEGIN')
      await sameRows()
      await client.query('COMMIT')
      expect(await total()).toBe(TOTAL)
    })
  })

  it('taken at the first statement, which needs one shard only: other shards are as of then', async () => {
    await readWhile(transfers, READS / 3, async () => {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
      const id = accounts.on(2)
      const one = await client.query<Row>(`SELECT id, amount FROM account WHERE id = ${id}`)
      const moved = transfers.committed + 3
      await until(() => transfers.committed >= moved)
      const all = await rows()
      expect(all.filter((row) => row.id === id)).toEqual(one.rows)
      expect(totalOf(all)).toBe(TOTAL)
      await client.query('COMMIT')
    })
  })

  it('with writes of its own: sees them, and nothing that others commit', async () => {
    await readWhile(transfers, READS / 3, async () => {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
      const first = await rows()
      await change(5)
      expect(await total()).toBe(TOTAL + 5)
      await change(-5)
      expect(await rows()).toEqual(first)
      await client.query('COMMIT')
    })
  })
})

/** Lets the writers run. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}

describe('SET weft.consistent_reads = off', () => {
  it('shown; torn totals do occur then, and no more when it is on again', async () => {
    expect((await client.query('SHOW weft.consistent_reads')).rows).toEqual([
      { 'weft.consistent_reads': 'on' },
    ])
    await client.query('SET weft.consistent_reads = off')
    expect((await client.query('SHOW weft.consistent_reads')).rows).toEqual([
      { 'weft.consistent_reads': 'off' },
    ])
    let isTorn = false
    for (let read = 0; read < 3_000 && !isTorn; read++) isTorn = (await total()) !== TOTAL
    expect(isTorn).toBe(true)
    await client.query('RESET weft.consistent_reads')
    await readWhile(transfers, 20, async () => expect(await total()).toBe(TOTAL))
  })
})
