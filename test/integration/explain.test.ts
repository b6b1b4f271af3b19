import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTwins, useTestCluster } from '../helpers/cluster.ts'
import { query } from '../helpers/postgres.ts'

/** EXPLAIN of whatever Weft can run over several shards: in every format, changing nothing; ANALYZE does what it explains. */

const cluster = useTestCluster({ shards: 2 })
let weft: pg.Client
let plain: pg.Client

beforeAll(async () => {
  const { current } = cluster
  const apart = { shard_key: 'id', colocate_with: 'none' }
  await createTwins(current, 'CREATE TABLE orders (id int PRIMARY KEY, item int, n int)', { shard_key: 'id' })
  await createTwins(current, 'CREATE TABLE items (id int PRIMARY KEY, name text, n int)', apart)
  await createTwins(current, 'CREATE TABLE kinds (id int PRIMARY KEY, name text)', { reference: true })
  for (const url of [current.plainUrl, current.weftUrl]) {
    await query(url, 'CREATE TABLE notes (id int PRIMARY KEY, note text)')
    await query(url, 'INSERT INTO orders SELECT g, g % 10, g FROM generate_series(1, 40) g')
    await query(url, "INSERT INTO items SELECT g, 'i' || g, 0 FROM generate_series(0, 9) g")
    await query(url, "INSERT INTO kinds VALUES (1, 'a'), (2, 'b')")
    await query(url, "INSERT INTO notes VALUES (1, 'x'), (2, 'y')")
  }
  weft = new pg.Client({ connectionString: current.weftUrl })
  plain = new pg.Client({ connectionString: current.plainUrl })
  await weft.connect()
  await plain.connect()
})
afterAll(async () => {
  await weft.end()
  await plain.end()
})

type Rows = readonly { readonly 'QUERY PLAN': string }[]

async function lines(sql: string): Promise<string[]> {
  const { rows } = await weft.query<Rows[number]>(sql)
  return rows.map((row) => row['QUERY PLAN'])
}

interface Node {
  readonly 'Node Type': string
  readonly Plans?: readonly Node[]
  readonly [key: string]: unknown
}

/** Types of a plan's nodes, those of Weft, as they are nested. */
function shape(node: Node): string {
  const inner = (node.Plans ?? []).map(shape).filter((text) => text !== '')
  const isOurs = node['Node Type'].startsWith('Weft ')
  if (!isOurs) return inner.join(' ')
  const name = node['Node Type'].slice('Weft '.length)
  return inner.length === 0 ? name : `${name}(${inner.join(' ')})`
}

async function document(sql: string, values?: readonly unknown[]): Promise<Node> {
  const { rows, fields } = await weft.query<{ 'QUERY PLAN': readonly [{ readonly Plan: Node }] }>({
    text: sql,
    ...(values && { values: [...values] }),
  })
  expect(rows).toHaveLength(1)
  expect(fields.map(({ name, dataTypeID }) => [name, dataTypeID])).toEqual([['QUERY PLAN', 114]])
  return rows[0]!['QUERY PLAN'][0].Plan
}

const STATE = ['orders', 'items', 'kinds', 'notes'].map((name) => `SELECT * FROM ${name} ORDER BY id`)

async function states(client: pg.Client): Promise<unknown> {
  const all: unknown[] = []
  for (const sql of STATE) all.push((await client.query(sql)).rows)
  return all
}

const SHARDS = 'Shard Shard'
const GATHERED = `Scatter(${SHARDS} Shard)`

/** Statement, shape without ANALYZE, steps with it. */
const statements: readonly (readonly [string, string, (readonly string[])?])[] = [
  ['SELECT * FROM orders', `Scatter(${SHARDS})`],
  ['SELECT count(*), sum(n) FROM orders', `Scatter(${SHARDS})`],
  ['SELECT item, count(*) FROM orders GROUP BY item', GATHERED],
  ['SELECT o.id, t.note FROM orders o JOIN notes t ON t.id = o.item', GATHERED],
  ['UPDATE orders SET n = n + 1', `Scatter(${SHARDS})`, ['Runs']],
  ['DELETE FROM orders WHERE n > 39 RETURNING id', `Scatter(${SHARDS})`, ['Runs']],
  ["UPDATE kinds SET name = name || '!'", `Scatter(${SHARDS})`, ['Runs']],
  [
    'UPDATE orders o SET n = 0 FROM items i WHERE i.id = o.item AND i.name > $$i7$$',
    GATHERED,
    ['Gathers', 'Finds the rows that are meant', 'Locks rows', 'Changes rows where they are'],
  ],
  [
    'DELETE FROM items WHERE id NOT IN (SELECT item FROM orders)',
    GATHERED,
    ['Gathers', 'Finds the rows that are meant'],
  ],
  [
    'UPDATE orders SET id = id + 1000 WHERE n = 0',
    GATHERED,
    ['Gathers', 'Computes rows that may move', 'Takes rows away that move', 'Inserts rows where they belong'],
  ],
  [
    'SELECT id FROM orders ORDER BY n, id LIMIT 3 FOR UPDATE',
    GATHERED,
    ['Gathers', 'Finds rows', 'Locks rows'],
  ],
  [
    'MERGE INTO items i USING (VALUES (1, 5), (2, 5), (77, 6), (78, 6), (79, 7)) v (id, n) ON v.id = i.id WHEN MATCHED THEN UPDATE SET n = v.n ' +
      "WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'new', v.n)",
    GATHERED,
    ['Gathers', 'Changes rows where they are'],
  ],
  [
    'WITH gone AS (DELETE FROM orders WHERE n < 3 RETURNING id) SELECT count(*) FROM gone',
    'Sequence(Shard(Scatter(Shard Shard)) Shard)',
    ['Runs'],
  ],
  [
    'UPDATE items SET n = 9 WHERE id = (SELECT item FROM orders ORDER BY n DESC, id LIMIT 1 FOR UPDATE)',
    'Sequence',
    ['Locks rows'],
  ],
  [
    'INSERT INTO orders VALUES (500, 1, 1), (501, 2, 2), (502, 3, 3)',
    'Insert(Shard)',
    ['Inserts rows where they belong'],
  ],
  ["INSERT INTO kinds VALUES (3, 'c'), (4, 'd')", 'Scatter(Shard Shard)', ['Runs']],
  ['INSERT INTO orders SELECT g, 1, 1 FROM generate_series(600, 609) g', 'Insert(Shard)', ['Runs']],
  [
    'INSERT INTO items SELECT id + 700, $$o$$, n FROM orders WHERE id < 9',
    'Insert(Shard(Scatter(Shard Shard)))',
    ['Runs'],
  ],
  [
    'INSERT INTO items SELECT 800 + item, $$g$$, count(*) FROM orders GROUP BY item ON CONFLICT DO NOTHING',
    'Insert(Shard(Scatter(Shard Shard Shard)))',
    ['Gathers'],
  ],
  [
    'INSERT INTO notes (id, note) SELECT 100 + item, count(*) FROM orders GROUP BY item',
    GATHERED,
    ['Gathers'],
  ],
  ['UPDATE kinds k SET name = o.n::text FROM orders o WHERE o.id = k.id + 20', GATHERED, ['Gathers']],
  ['CREATE TABLE made AS SELECT item, count(*) FROM orders GROUP BY item', GATHERED],
]

describe('EXPLAIN', () => {
  test.each(statements)('%s', async (sql, expected) => {
    const before = await states(weft)
    expect(shape(await document(`EXPLAIN (FORMAT JSON, VERBOSE) ${sql}`))).toContain(expected)
    const text = await lines(`EXPLAIN (COSTS off) ${sql}`)
    expect(text[0]).toMatch(/^Weft (Scatter|Insert|Sequence) /)
    expect(text.filter((line) => line.includes('->  ')).length).toBeGreaterThan(0)
    expect(await states(weft)).toEqual(before)
  })

  test('why rows are gathered', async () => {
    const [, because, gathered] = await lines('EXPLAIN SELECT item, count(*) FROM orders GROUP BY item')
    expect(because).toMatch(/^ {2}Because: GROUP BY/)
    expect(gathered).toBe('  Gathered: orders (item, count)')
    const node = await document(
      'EXPLAIN (FORMAT JSON) SELECT o.id FROM orders o JOIN notes t ON t.id = o.item',
    )
    expect(node.Because).toContain('notes')
  })

  test('with parameters, in the extended protocol', async () => {
    const node = await document(
      'EXPLAIN (FORMAT JSON) UPDATE orders o SET n = $1 FROM items i WHERE i.id = o.item AND i.n > $2',
      [1, 2],
    )
    expect(shape(node)).toBe(GATHERED)
    const analyzed = 'EXPLAIN (ANALYZE, FORMAT JSON, TIMING off) UPDATE orders SET n = n WHERE n > $1'
    expect((await document(analyzed, [30]))['Actual Rows']).toBe(0)
  })

  test('in YAML and XML', async () => {
    const sql = 'SELECT item, count(*) FROM orders GROUP BY item'
    const [yaml] = await lines(`EXPLAIN (FORMAT YAML) ${sql}`)
    expect(yaml).toMatch(/^- Plan: \n {4}Node Type: "Weft Scatter"\n/)
    expect(yaml).toMatch(/\n {4}Plans: \n {6}- Node Type: "Weft Shard"\n {8}Shard: 0\n/)
    const [xml] = await lines(`EXPLAIN (FORMAT XML) ${sql}`)
    expect(xml).toMatch(
      /^<explain xmlns="[^"]*">\n {2}<Query>\n {4}<Plan>\n {6}<Node-Type>Weft Scatter<\/Node-Type>/,
    )
    expect(xml).toMatch(/<\/Query>\n<\/explain>$/)
  })

  test('what is wrong with the text, and with the options', async () => {
    for (const sql of [
      'EXPLAIN SELECT nothing FROM orders',
      'EXPLAIN (FORMAT JSON) UPDATE orders SET nothing = 1',
      'EXPLAIN (WAL) SELECT * FROM orders',
      'EXPLAIN (FORMAT nothing) SELECT * FROM orders',
    ]) {
      const errors = []
      for (const client of [plain, weft]) errors.push(await client.query(sql).then(String, told))
      expect(errors[1]).toEqual(errors[0])
    }
  })
})

const told = ({ code, message }: pg.DatabaseError) => [code, message]

describe('EXPLAIN ANALYZE', () => {
  const writes = statements.flatMap(([sql, , steps]) => (steps === undefined ? [] : [[sql, steps] as const]))

  test.each(writes)('%s', async (sql, steps) => {
    const node = await document(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${sql}`)
    await plain.query(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${sql}`)
    expect(node['Node Type']).toBe('Weft Statement')
    const done = (node.Plans ?? []).map(({ Task }) => Task)
    expect(done).toEqual(expect.arrayContaining([...steps]))
    expect(await states(weft)).toEqual(await states(plain))
  })

  test('in a block that is rolled back, and in a text', async () => {
    const before = await states(weft)
    await weft.query('BEGIN')
    const text = await lines(
      'EXPLAIN (ANALYZE, TIMING off, SUMMARY off, COSTS off) UPDATE orders SET n = n + 1',
    )
    await weft.query('ROLLBACK')
    expect(text.filter((line) => !line.startsWith('            '))).toEqual([
      'Weft UPDATE, step by step (actual rows=0)',
      '  ->  Runs, on shards 0, 1',
      expect.stringMatching(/^ {8}-> {2}Shard 0 \(actual rows=\d+ bytes=0 sent=\d+\)$/),
      expect.stringMatching(/^ {8}-> {2}Shard 1 \(actual rows=\d+ bytes=0 sent=\d+\)$/),
    ])
    expect(text.some((line) => /Seq Scan on .*orders/.test(line))).toBe(true)
    expect(await states(weft)).toEqual(before)
  })

  test('a row that may move, and locks of copies: by whatever runs them', async () => {
    const one = [20, 21, 22, 23].map((id) => `UPDATE orders SET id = ${id + 3000} WHERE id = ${id}`)
    for (const sql of [...one, 'SELECT * FROM kinds FOR UPDATE']) {
      await document(`EXPLAIN (ANALYZE, FORMAT JSON) ${sql}`)
      await plain.query(`EXPLAIN ANALYZE ${sql}`)
    }
    expect(await states(weft)).toEqual(await states(plain))
  })

  test('of a cursor, its query; a prepared statement', async () => {
    const cursor = 'DECLARE c CURSOR FOR SELECT item, count(*) FROM orders GROUP BY item'
    expect(shape(await document(`EXPLAIN (FORMAT JSON) ${cursor}`))).toBe(GATHERED)
    await weft.query('PREPARE several (int) AS UPDATE orders SET n = n WHERE n > $1')
    expect(shape(await document('EXPLAIN (FORMAT JSON) EXECUTE several(3)'))).toBe(`Scatter(${SHARDS})`)
    const analyzed = 'EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE several(3)'
    expect((await document(analyzed))['Node Type']).toBe('Weft Statement')
    await weft.query('DEALLOCATE several')
  })

  test('a write that fails, fails', async () => {
    const error = await weft.query('EXPLAIN ANALYZE UPDATE orders SET n = 1 / (n - n)').then(String, told)
    expect(error).toEqual(['22012', 'division by zero'])
    expect((await weft.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })

  test("of reads: one state, and the shards' own numbers", async () => {
    for (const [sql] of statements.slice(0, 4)) {
      const node = await document(`EXPLAIN (ANALYZE, FORMAT JSON) ${sql}`)
      expect(JSON.stringify(node)).toContain('"Actual Rows"')
    }
  })
})
