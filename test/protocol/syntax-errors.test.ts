import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'

const cluster = useTestCluster({ shards: 2 })
const clients: pg.Client[] = []

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  clients.push(client)
  return client
}

let weft: pg.Client
let plain: pg.Client

beforeAll(async () => {
  weft = await connect(cluster.current.weftUrl)
  plain = await connect(cluster.current.plainUrl)
})
afterAll(() => Promise.all(clients.splice(0).map((client) => client.end())))

const WRONG = [
  'SELEC 1',
  'SELECT 1 FROM',
  'SELECT 1; SELEC 2',
  "SELECT 'abc",
  'SELECT "abc',
  'SELECT ""',
  'SELECT $$abc',
  'SELECT /* abc',
  'SELECT 1 AS é, 2 FORM x',
  "SELECT U&'\\00'",
  "SELECT U&'\\zzzz'",
  "SELECT U&'\\D800'",
  "SELECT E'\\uD800 '",
  "SELECT E'\\u12'",
  "SELECT E'\\U99999999'",
  "SELECT U&'a' UESCAPE '+'",
  "SELECT U&'a' UESCAPE 1",
  'SELECT 1a',
  'SELECT 0x',
  'SELECT $1a',
  'SELECT 10000000000000000000000000$1',
  'SELECT * FROM a.b.c.d',
  'SELECT a.*.b FROM t',
  'SELECT a[*] FROM t',
  'SELECT * FROM t LIMIT 1, 2',
  'SELECT * FROM t ORDER BY a USING x LIMIT 1 LIMIT 2',
  'SELECT 1 ORDER BY 1 ORDER BY 2',
  'SELECT 1 LIMIT 1 OFFSET 1 OFFSET 2',
  'SELECT a FROM t FOR UPDATE WITH TIES',
  'SELECT a FROM t FETCH FIRST ROW WITH TIES',
  'SELECT a FROM t FETCH FIRST 2 ROWS WITH TIES FOR UPDATE SKIP LOCKED',
  '(SELECT 1 LIMIT 1) LIMIT 2',
  'WITH a AS (SELECT 1) (WITH b AS (SELECT 1) SELECT 1) WITH',
  'VALUES (1), (2',
  'SELECT * FROM (SELECT 1) , (VALUES (1)',
  'SELECT f(VARIADIC ALL a)',
  'SELECT f(DISTINCT a) WITHIN GROUP (ORDER BY b)',
  'SELECT f(a ORDER BY b) WITHIN GROUP (ORDER BY b)',
  'SELECT sum(x) OVER (ROWS BETWEEN UNBOUNDED FOLLOWING AND CURRENT ROW)',
  'SELECT sum(x) OVER (ROWS BETWEEN CURRENT ROW AND 1 PRECEDING)',
  'SELECT sum(x) OVER (RANGE UNBOUNDED FOLLOWING)',
  "SELECT interval '1' YEAR(2)",
  'CREATE TABLE t (a int NOT NULL NULL',
  'CREATE TABLE t (a int CHECK (a > 0) DEFERRABLE INITIALLY DEFERRED NOT VALID, CHECK (a > 0) NOT DEFERRABLE INITIALLY DEFERRED)',
  'CREATE TABLE t (a int, EXCLUDE USING gist (a WITH =) NOT VALID)',
  'CREATE TABLE t (LIKE x) PARTITION BY FOO (a)',
  'CREATE TABLE t PARTITION OF p FOR VALUES WITH (modulus 2, modulus 3, remainder 1)',
  'CREATE TABLE t PARTITION OF p FOR VALUES WITH (modulus 2)',
  'CREATE TABLE t PARTITION OF p FOR VALUES WITH (foo 2)',
  'CREATE TEMP TABLE a.b.c.d (x int)',
  'CREATE GLOBAL TEMP TABL x (a int)',
  'CREATE ASSERTION a CHECK (true)',
  'CREATE VIEW v (a) AS SELECT 1 WITH CHECK OPTION WITH',
  'CREATE RECURSIVE VIEW v (a) AS SELECT 1 WITH CHECK OPTION',
  'CREATE FUNCTION f(a int DEFAULT 1 = 2',
  'CREATE FUNCTION f(OUT a int) RETURNS TABLE (b int) LANGUAGE sql',
  'CREATE TRIGGER t AFTER INSERT OR INSERT ON x EXECUTE FUNCTION f()',
  'CREATE CONSTRAINT TRIGGER t AFTER INSERT ON x FOR EACH ROW NOT VALID EXECUTE FUNCTION f()',
  'CREATE OPERATOR CLASS c FOR TYPE int USING btree AS OPERATOR 1 < (int) RECHECK',
  'CREATE AGGREGATE a (int, ORDER BY b) (',
  'CREATE ROLE r FOO',
  "CREATE ROLE r UNENCRYPTED PASSWORD 'x'",
  'CREATE PUBLICATION p FOR TABLES IN SCHEMA a, b (c)',
  'DROP AGGREGATE a',
  'DROP OPERATOR + (int)',
  'DROP OPERATOR + (NONE, NONE)',
  'COMMENT ON OPERATOR + (int) IS 1',
  "SET TIME ZONE INTERVAL (3) '1' YEAR",
  "SET TIME ZONE INTERVAL '1' YEAR",
  'SET a.b.c.d TO',
  'INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET a = 1 RETURNING',
  'UPDATE t SET (a, b) = 1, 2',
  'DELETE t WHERE a = 1',
  'MERGE INTO t USING s ON true WHEN MATCHED THEN INSERT VALUES (1)',
  'GRANT SELECT ON t TO',
  'COPY t FROM STDIN WHERE a = 1 WITH',
  'COPY t TO STDOUT WHERE a = 1',
  'COPY (SELECT 1) FROM STDIN',
  'EXPLAIN (ANALYZE SELECT 1',
  'PREPARE p AS SELEC 1',
  'SELECT XMLPARSE(DOCUMENT',
  'SELECT EXTRACT(foo FROM)',
  'SELECT CAST(1 AS)',
  'SELECT CASE WHEN 1 THEN 2',
  'SELECT a NOT b FROM t',
  'SELECT -',
  'SELECT 1 = = 2',
  'SELECT (1, 2',
  'SELECT ARRAY[1, 2',
  "SELECT B'12' FROM",
]

const told = (client: pg.Client, query: string | pg.QueryConfig) =>
  client.query(query).then(
    () => 'no error',
    ({
      severity,
      code,
      message,
      detail,
      hint,
      position,
      where,
      routine,
    }: pg.DatabaseError & { routine: string }) => ({
      ...{ severity, code, message, detail, hint, position, where, routine },
    }),
  )

describe('texts that the parser does not take: as Postgres tells, with HINT and DETAIL', () => {
  test.each(WRONG)('%s', async (text) => {
    const onPlain = await told(plain, text)
    expect(onPlain).not.toBe('no error')
    expect(await told(weft, text)).toEqual(onPlain)
    expect(await told(weft, { text, values: [] })).toEqual(await told(plain, { text, values: [] }))
  })

  test('a block: it fails; in a failed one too syntax comes first, and after a savepoint it goes on', async () => {
    for (const client of [weft, plain]) {
      await client.query('CREATE TABLE local (a int)')
      await client.query('BEGIN; INSERT INTO local VALUES (1); SAVEPOINT s')
    }
    const says = async (sql: string) => {
      const [onWeft, onPlain] = [await told(weft, sql), await told(plain, sql)]
      // That the block has failed Weft says by itself: no function of Postgres' source does.
      const onBoth = [onWeft, onPlain].map((said) =>
        JSON.stringify(said, (key, value) => (key === 'routine' ? undefined : value)),
      )
      expect([sql, onBoth[0]]).toEqual([sql, onBoth[1]])
      return onPlain
    }
    const limit = await says('SELECT 1 LIMIT 1, 2')
    expect(limit).toMatchObject({ hint: 'Use separate LIMIT and OFFSET clauses.' })
    expect(await says('SELECT 1')).toMatchObject({ code: '25P02' })
    expect(await says('SELECT 1 LIMIT 1, 2')).toEqual(limit)
    await says('ROLLBACK TO s')
    await says('INSERT INTO local VALUES (2)')
    await says('COMMIT')
    const rows = await Promise.all(
      [weft, plain].map((client) => client.query('SELECT a FROM local ORDER BY a')),
    )
    expect(rows[0]!.rows).toEqual(rows[1]!.rows)
    expect(rows[0]!.rows).toEqual([{ a: 1 }, { a: 2 }])
  })
})
