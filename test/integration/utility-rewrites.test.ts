import { loadModule } from 'libpg-query'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseStatements } from '../../sql/parse/parse.ts'
import { planIn } from '../../sql/plan/utility/testdata/shop.ts'
import { startPostgres, type TestPostgres } from '../helpers/postgres.ts'

/** What the other shards are sent is run by a Postgres that lacks the local tables. */
let server: TestPostgres
let client: pg.Client

beforeAll(async () => {
  await loadModule()
  server = await startPostgres({ database: 'other name' })
  client = new pg.Client({ connectionString: server.url })
  await client.connect()
  await client.query('CREATE ROLE bob; CREATE TABLE orders (customer_id bigint, id bigint, total numeric)')
}, 60_000)

afterAll(async () => {
  await client?.end()
  await server?.stop()
})

async function runOnOther(sql: string): Promise<void> {
  const plan = planIn(parseStatements(sql)[0]!)
  if (plan.kind !== 'ddl') throw new Error(`a ${plan.kind} plan: ${sql}`)
  const { othersOnlyWith } = plan
  if (othersOnlyWith !== undefined && (await one(`SELECT to_regclass('${othersOnlyWith}')`)) === null) return
  await client.query(plan.othersSql ?? sql)
}

const one = async (sql: string) => Object.values((await client.query(sql)).rows[0] ?? {})[0]

test('other shards: objects of local tables: missing is fine', async () => {
  for (const sql of [
    'DROP INDEX logs_name',
    'DROP VIEW recent_logs',
    'DROP SEQUENCE logs_id_seq CASCADE',
    'DROP FUNCTION f(int), g',
    'ALTER INDEX i SET (fillfactor = 70)',
    'ALTER SEQUENCE logs_id_seq RESTART',
    'ALTER FUNCTION f(int) STRICT',
    "COMMENT ON INDEX i IS 'it''s \\ odd $weft$'",
    'COMMENT ON FUNCTION f(logs) IS NULL',
    'GRANT USAGE ON SEQUENCE logs_id_seq TO bob',
    'REINDEX INDEX i',
    'ALTER STATISTICS s SET STATISTICS 9',
  ]) {
    await runOnOther(sql)
  }
})

test('other shards: the same statements where the object exists: done', async () => {
  await client.query('CREATE INDEX i ON orders (id); CREATE SEQUENCE s')
  await runOnOther("COMMENT ON INDEX i IS 'it''s \\ odd $weft$'")
  expect(await one("SELECT obj_description('i'::regclass)")).toBe("it's \\ odd $weft$")
  await runOnOther('GRANT USAGE ON SEQUENCE s TO bob')
  expect(await one("SELECT has_sequence_privilege('bob', 's', 'usage')")).toBe(true)
  await runOnOther('ALTER INDEX i RENAME TO j')
  await runOnOther('DROP INDEX j')
  expect(await one("SELECT to_regclass('j')")).toBeNull()
})

test('other shards: any other error: not swallowed', async () => {
  await client.query(
    'CREATE FUNCTION taken() RETURNS int RETURN 1; CREATE FUNCTION here() RETURNS int RETURN 1',
  )
  await expect(runOnOther('ALTER FUNCTION here() RENAME TO taken')).rejects.toThrow('already exists')
})

test('other shards: an SQL function about a local table: made, and bodies are checked again afterwards', async () => {
  await client.query('BEGIN')
  await runOnOther(
    "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM logs WHERE n = E'\\\\' $$",
  )
  expect(await one('SHOW check_function_bodies')).toBe('on')
  await client.query('COMMIT')
  expect(await one("SELECT prosrc FROM pg_proc WHERE proname = 'f'")).toBe(
    " SELECT count(*) FROM logs WHERE n = E'\\\\' ",
  )
})

test('other shards: a database under another name: its own is meant', async () => {
  await runOnOther("COMMENT ON DATABASE shop IS '5% it''s'")
  await runOnOther('GRANT CREATE ON DATABASE shop TO bob')
  await runOnOther("ALTER ROLE bob IN DATABASE shop SET work_mem = '3MB'")
  await runOnOther('ALTER DATABASE shop CONNECTION LIMIT 50')
  const comment = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'other name'"
  expect(await one(comment)).toBe("5% it's")
  expect(await one("SELECT has_database_privilege('bob', 'other name', 'create')")).toBe(true)
})

test('other shards: lists of tables: local ones are left out', async () => {
  await client.query('BEGIN')
  await runOnOther('TRUNCATE ONLY logs, ONLY (orders) CASCADE')
  await runOnOther('GRANT SELECT (id), UPDATE ON TABLE logs, orders TO bob')
  await runOnOther('LOCK TABLE ONLY orders, logs IN ACCESS SHARE MODE NOWAIT')
  await runOnOther('ANALYZE logs, orders (id), notes')
  await runOnOther('DROP TABLE IF EXISTS logs, public . orders, notes CASCADE')
  expect(await one("SELECT to_regclass('orders')")).toBeNull()
  await client.query('ROLLBACK')
})

test('COPY options: as the coordinator spells them: Postgres takes them', async () => {
  for (const options of [
    "WITH (FORMAT csv, HEADER match, NULL 'nil', FORCE_NULL *, DELIMITER ';', QUOTE '''', ESCAPE '\\')",
    "DELIMITERS '|' WITH NULL AS 'x\\'",
    'CSV HEADER FORCE NOT NULL total, id',
    '(FORMAT text) WHERE total > 1 AND made < now()',
    '(FORMAT binary)',
  ]) {
    const plan = planIn(parseStatements(`COPY orders (customer_id, id, total) FROM STDIN ${options}`)[0]!)
    if (plan.kind !== 'copy') throw new Error(`a ${plan.kind} plan: ${options}`)
    await client.query('BEGIN; ALTER TABLE orders ADD COLUMN made timestamptz')
    // Without a stream the driver ends the copy at once: what counts is that the options were accepted.
    const copy = client.query(`COPY orders (customer_id, id, total) FROM STDIN ${plan.optionsSql}`)
    await expect(copy, plan.optionsSql).rejects.toThrow('No source stream defined')
    await client.query('ROLLBACK')
  }
})
