import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'

/** All fields of an error are those of plain Postgres, where Weft sends another text than the client's, too. */

const cluster = useTestCluster()
let weft: pg.Client
let plain: pg.Client

const COLUMNS = '(k int PRIMARY KEY, v int NOT NULL, t timestamptz DEFAULT now(), id serial)'

beforeAll(async () => {
  const { weftUrl, plainUrl } = cluster.current
  ;[weft, plain] = [weftUrl, plainUrl].map((url) => new pg.Client({ connectionString: url })) as [
    pg.Client,
    pg.Client,
  ]
  await Promise.all([weft.connect(), plain.connect()])
  await weft.query(`CREATE TABLE p ${COLUMNS} WITH (shard_key = 'k')`)
  await weft.query(`CREATE TABLE r ${COLUMNS} WITH (reference = true)`)
  for (const table of ['p', 'r']) await plain.query(`CREATE TABLE ${table} ${COLUMNS}`)
})
afterAll(() => Promise.all([weft.end(), plain.end()]))

const FIELDS = [
  ...[
    'severity',
    'code',
    'message',
    'detail',
    'hint',
    'position',
    'internalPosition',
    'internalQuery',
    'where',
  ],
  ...['schema', 'table', 'column', 'dataType', 'constraint', 'routine'],
] as const

/** Times and numbers drawn differ from run to run. */
const steady = (value: unknown): unknown =>
  typeof value === 'string' ? value.replace(/, \d{4}-[^,]*, \d+\)/, ', …)') : value

async function failure(client: pg.Client, text: string, values?: unknown[]): Promise<unknown> {
  try {
    await client.query(values === undefined ? { text } : { text, values })
    return 'no error'
  } catch (error) {
    const fields = error as Readonly<Record<string, unknown>>
    return Object.fromEntries(FIELDS.map((name) => [name, steady(fields[name])]))
  }
}

async function expectSame(text: string, values?: unknown[]): Promise<void> {
  const expected = await failure(plain, text, values)
  expect(expected).not.toBe('no error')
  expect(await failure(weft, text, values)).toEqual(expected)
}

test.each([
  'SELECT now(), nope FROM p WHERE k = 1',
  'SELECT /* é */ now(), nope FROM p',
  'SELECT now() AS x, count(*), nope FROM p GROUP BY v ORDER BY 1',
  'SELECT sum(v), sum(nope) FROM p HAVING now() > $$2000-01-01$$',
  'SELECT v, sum(k), nope FROM p GROUP BY v',
  'SELECT a.v, now() FROM p a JOIN p b ON a.v = b.v WHERE b.nope > 1',
  'UPDATE p SET t = now(), nope = 1',
  "UPDATE p SET t = now(), v = 'x' WHERE k = 1",
  "INSERT INTO p (k, v) VALUES (1, 1), (2, 'x')",
  'INSERT INTO p (k, v) VALUES (1, 1), (2, 3) RETURNING nope',
  'INSERT INTO p (k, v, t) VALUES (7, 1, now()) RETURNING nope',
  'INSERT INTO r (k, v, t) VALUES (7, 1, now()) RETURNING nope',
  'UPDATE r SET v = 1, nope = 1',
  'INSERT INTO p (k, v) SELECT 1, nope',
  'INSERT INTO p (k, v, id, t) SELECT v, nope, 1, now() FROM p RETURNING k',
  'EXPLAIN SELECT now(), nope FROM p',
  'COPY (SELECT now(), nope FROM p) TO STDOUT',
  'COPY /* é */ (SELECT k, nope FROM p) TO STDOUT',
  'SELECT pg_backend_pid(), nope FROM p',
  "SELECT lastval(), currval('p_id_seq'), nope",
  'INSERT INTO p (k, nope) VALUES (1, 1), (2, 2)',
  'INSERT INTO /* é */ p (k, v, k) VALUES (1, 1, 1), (2, 2, 2)',
  'INSERT INTO p (k, v) VALUES (1, 1, 1), (2, 2, 2)',
  'INSERT INTO p (k, v, t) VALUES (1, 1), (2, 2)',
  'INSERT INTO p (k, v) VALUES (1, 1), (2)',
  'INSERT INTO r (k, v, nope) VALUES (1, 1, now()), (2, 2, now())',
])('%s', async (sql) => {
  for (const values of [undefined, []]) {
    await expectSame(sql, values)
    await Promise.all([weft.query('BEGIN'), plain.query('BEGIN')])
    await expectSame(sql, values)
    await Promise.all([weft.query('ROLLBACK'), plain.query('ROLLBACK')])
  }
})

const THREE = 'INSERT INTO p (k, v) VALUES ($1, $2), ($3, $4), ($5, $6)'

test.each([
  [THREE, [1, 1, null, 2, 3, 3]],
  [THREE, [null, 1, 2, 2, 3, 3]],
  [THREE, [11, 1, 12, null, 13, 3]],
  ['INSERT INTO p (k, v) VALUES ($1, $2)', [null, 1]],
  ['INSERT INTO p (k, v) VALUES (1, 1), (NULL, 2), (3, 3)', undefined],
  ['INSERT INTO p (k, v) VALUES (1, 1), (DEFAULT, 2), (3, 3)', undefined],
  ['INSERT INTO p (k, v) VALUES (1 + NULL, 1), (2, 2)', undefined],
  ['INSERT INTO p (k, v) SELECT NULL, 2', undefined],
  ['INSERT INTO p (v) VALUES (1), (2)', undefined],
])('no key: %s %j', async (sql, values) => {
  await expectSame(sql, values)
  expect((await weft.query('SELECT count(*)::int FROM p')).rows).toEqual([{ count: 0 }])
})

test.each(["SELECT currval('p_id_seq')", 'SELECT lastval()'])(
  'what stands for a function of Postgres is not seen: %s',
  async (sql) => {
    await weft.query('DISCARD SEQUENCES')
    expect(await failure(weft, sql)).toMatchObject({ code: '55000', where: undefined })
  },
)
