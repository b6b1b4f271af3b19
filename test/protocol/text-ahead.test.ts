import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'

/** What stands ahead of a statement changes nothing: white space and comments, as texts of several lines in programs have. */

const cluster = useTestCluster()
let clients: { weft: pg.Client; plain: pg.Client }

beforeAll(async () => {
  const { weftUrl, plainUrl } = cluster.current
  const [weft, plain] = [weftUrl, plainUrl].map((url) => new pg.Client({ connectionString: url }))
  clients = { weft: weft!, plain: plain! }
  await Promise.all([weft!.connect(), plain!.connect()])
  for (const [client, sharded, copied] of [
    [weft!, "WITH (shard_key = 'k')", 'WITH (reference = true)'],
    [plain!, '', ''],
  ] as const) {
    await client.query(
      `CREATE TABLE t (k int PRIMARY KEY, v text, n serial, at timestamptz DEFAULT now()) ${sharded}`,
    )
    await client.query(`CREATE TABLE o (k int PRIMARY KEY, t_k int, v text) ${sharded}`)
    await client.query(`CREATE TABLE r (k int PRIMARY KEY, v text, n serial) ${copied}`)
    await client.query('CREATE TABLE l (k int PRIMARY KEY, v text)')
  }
})
afterAll(() => Promise.all([clients.weft.end(), clients.plain.end()]))

const AHEAD = ['\n  ', '/* app:é */ ', '-- who\n\t', ' \r\n /* a */ /* b */\n']
const STATEMENTS: readonly (readonly [string, readonly unknown[]])[] = [
  ["INSERT INTO t (k, v) VALUES ($1, $2), ($3, $4), ($1::int + 10, DEFAULT), (9, 'é')", [1, 'a', 2, 'b']],
  ["UPDATE t SET v = $1 WHERE k > $2 AND now() > '2000-01-01'", ['c', 1]],
  ['INSERT INTO o (k, t_k, v) SELECT k, k + 1, $1 FROM t RETURNING k', ['é']],
  ['UPDATE t SET v = o.v || $1 FROM o WHERE o.t_k = t.k RETURNING t.k, t.v', ['!']],
  ['SELECT v, count(*), max($1::int) FROM t GROUP BY v ORDER BY v', [5]],
  ['SELECT count(*), sum(k + $1::int) FROM t', [2]],
  ["SELECT k, now() > '2000-01-01' AS late FROM t WHERE k = $1", [2]],
  ['INSERT INTO r (k, v) VALUES ($1, $2), (2, $3)', [1, 'x', 'é']],
  ['INSERT INTO l SELECT k, v || $1 FROM t RETURNING k', ['-']],
  ['DELETE FROM l USING t WHERE t.k = l.k AND t.k > $1', [1]],
  ['DELETE FROM t WHERE k > $1 AND now() > $2::timestamptz', [0, '2000-01-01']],
  ['DELETE FROM o', []],
  ['DELETE FROM r WHERE k > $1', [0]],
  ['DELETE FROM l', []],
]

const literal = (value: unknown): string => (typeof value === 'number' ? String(value) : `'${String(value)}'`)
const inlined = (sql: string, values: readonly unknown[]): string =>
  sql.replace(/\$(\d)/g, (_, n) => literal(values[Number(n) - 1]))

async function told(
  client: pg.Client,
  text: string,
  values: readonly unknown[] | undefined,
): Promise<unknown> {
  const { rows, rowCount } = await client.query(
    values === undefined ? { text } : { text, values: [...values] },
  )
  return [rowCount, rows.map((row) => JSON.stringify(row)).sort()]
}

test.each(AHEAD)('%j', async (ahead) => {
  for (const isExtended of [false, true]) {
    for (const [sql, values] of STATEMENTS) {
      const text = ahead + (isExtended ? sql : inlined(sql, values))
      const given = isExtended ? values : undefined
      expect([text, await told(clients.weft, text, given)]).toEqual([
        text,
        await told(clients.plain, text, given),
      ])
    }
  }
})

test('errors have their places', async () => {
  for (const ahead of AHEAD) {
    for (const sql of ['SELECT v, nope FROM t GROUP BY v', 'UPDATE t SET nope = 1']) {
      const position = (client: pg.Client) =>
        client.query({ text: ahead + sql, values: [] }).then(
          () => 'no error',
          (error: { position: string }) => error.position,
        )
      expect([sql, await position(clients.weft)]).toEqual([sql, await position(clients.plain)])
    }
  }
})
