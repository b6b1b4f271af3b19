import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { query } from '../helpers/postgres.ts'

/**
 * Code (functions, triggers, blocks, dynamic SQL) never reads a part of a sharded table, nor changes one copy of a reference
 * table.
 */

const cluster = useTestCluster()
let client: pg.Client

const SCHEMA = [
  "CREATE TABLE orders (k int PRIMARY KEY, v int, ref int) WITH (shard_key = 'k')",
  "CREATE TABLE lines (k int, n int, v int, PRIMARY KEY (k, n)) WITH (shard_key = 'k')",
  "CREATE TABLE orders_log (k int, what text) WITH (shard_key = 'k')",
  'CREATE TABLE ref (id int PRIMARY KEY, n int) WITH (reference = true)',
  'CREATE TABLE ref_log (id int, n int) WITH (reference = true)',
  'CREATE TABLE here (id int PRIMARY KEY, v int)',
  'CREATE TABLE here_log (id int, v text)',
  `CREATE FUNCTION tally(t text) RETURNS bigint LANGUAGE plpgsql AS $$
    DECLARE n bigint; BEGIN EXECUTE format('SELECT count(*) FROM public.%I', t) INTO n; RETURN n; END $$`,
  `CREATE FUNCTION wipe(t text) RETURNS int LANGUAGE plpgsql AS $$
    DECLARE n int; BEGIN EXECUTE format('DELETE FROM %I', t); GET DIAGNOSTICS n = ROW_COUNT; RETURN n; END $$`,
  `CREATE FUNCTION wipe_definer(t text) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT wipe(t)'`,
  `CREATE PROCEDURE wipe_call(t text) LANGUAGE plpgsql AS $$ BEGIN PERFORM wipe_definer(t); END $$`,
  `CREATE VIEW tallies AS SELECT tally('orders') AS n`,
  `CREATE FUNCTION log_anything() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN EXECUTE format('INSERT INTO %I VALUES ($1, $2)', TG_TABLE_NAME || '_log') USING NEW.k, TG_OP; RETURN NEW; END $$`,
]

beforeAll(async () => {
  client = new pg.Client({ connectionString: cluster.current.weftUrl })
  await client.connect()
  for (const sql of SCHEMA) await client.query(sql)
})
afterAll(() => client.end())
afterEach(async () => {
  await client.query('ROLLBACK')
})

const KEYS = Array.from({ length: 9 }, (_, i) => i + 1)

async function fill(): Promise<void> {
  await client.query('TRUNCATE orders, lines, orders_log, ref, ref_log, here, here_log CASCADE')
  await client.query('INSERT INTO ref VALUES (1, 10), (2, 20)')
  await client.query(`INSERT INTO orders VALUES ${KEYS.map((k) => `(${k}, ${k}, 1)`).join(', ')}`)
}

async function refused(sql: string): Promise<string> {
  const error = await client.query(sql).then(
    () => expect.fail(`nothing refused: ${sql}`),
    (e: { code: string; message: string }) => e,
  )
  expect(error).toMatchObject({ code: '0A000' })
  return error.message
}

const shards = () => cluster.current.weft.shards

/** What every copy of `ref` holds: one text when they agree. */
async function copies(table = 'ref'): Promise<string[]> {
  const texts = await Promise.all(
    shards().map(async ({ url }) => JSON.stringify(await query(url, `TABLE ${table} ORDER BY 1, 2`))),
  )
  return [...new Set(texts)]
}

const number = async (sql: string) => Number(Object.values((await client.query(sql)).rows[0])[0])

async function unchanged(): Promise<void> {
  expect(await copies()).toHaveLength(1)
  expect(await number('SELECT count(*) FROM ref')).toBe(2)
  expect(await number('SELECT count(*) FROM orders')).toBe(KEYS.length)
}

describe('dynamic SQL', () => {
  beforeAll(fill)

  test.each([
    ["SELECT tally('orders')", 'has read sharded table "public.orders"'],
    ["SELECT wipe('orders')", 'has changed sharded table "public.orders"'],
    ["SELECT wipe('ref')", 'has changed reference table "public.ref"'],
    ["SELECT wipe_definer('ref')", 'reference table'],
    ["CALL wipe_call('ref')", 'reference table'],
    ["CALL wipe_call('orders')", 'sharded table'],
    ['SELECT n FROM tallies', 'sharded table'],
    ['SELECT count(*) FROM tallies WHERE n > 1', 'sharded table'],
    ["DO $$ BEGIN EXECUTE 'DELETE FROM r' || 'ef'; END $$", 'reference table'],
    ["DO $$ BEGIN EXECUTE 'ALTER TABLE ord' || 'ers ADD COLUMN x int'; END $$", 'sharded table'],
    ["DO $$ BEGIN EXECUTE 'TRUNCATE r' || 'ef'; END $$", 'reference table'],
    ["INSERT INTO here SELECT 1, tally('orders')", 'sharded table'],
    ["CREATE TABLE made AS SELECT tally('orders') AS n", 'sharded table'],
    ["CREATE MATERIALIZED VIEW made AS SELECT tally('orders') AS n", 'sharded table'],
    ["COPY (SELECT tally('orders')) TO STDOUT", 'sharded table'],
    ["EXPLAIN ANALYZE SELECT tally('orders')", 'sharded table'],
    ["SELECT tally('orders_log') FROM orders WHERE k = 1", 'sharded table "public.orders_log"'],
    ["SELECT wipe('ref') FROM orders WHERE k = 1", 'reference table'],
  ])('%s', async (sql, why) => {
    expect(await refused(sql)).toContain(why)
    await unchanged()
  })

  test('of local tables, of other kinds of code, and reading reference tables, is fine', async () => {
    expect(await number("SELECT tally('ref')")).toBe(2)
    expect(await number("SELECT tally('here')")).toBe(0)
    await client.query(
      "DO $$ BEGIN EXECUTE 'CREATE TABLE later (id int)'; EXECUTE 'DROP TABLE later'; END $$",
    )
    expect(await number("SELECT wipe('here') FROM ref LIMIT 1")).toBe(0)
    expect(await number("SELECT tally('ref') FROM orders WHERE k = 1")).toBe(2)
  })

  test('prepared, bound, fetched', async () => {
    await expect(client.query('SELECT tally($1)', ['orders'])).rejects.toMatchObject({ code: '0A000' })
    await client.query('PREPARE p AS SELECT tally($1)')
    await refused("EXECUTE p('orders')")
    expect(await number("EXECUTE p('ref')")).toBe(2)
    await client.query('BEGIN')
    await client.query("DECLARE c CURSOR FOR SELECT tally('orders')")
    await refused('FETCH c')
    await client.query('ROLLBACK')
    await refused("DECLARE c CURSOR WITH HOLD FOR SELECT tally('orders')")
  })

  test('a few rows at a time: the later ones are looked at, too', async () => {
    const few = (table: string) => ({
      text: `SELECT CASE WHEN g > $1 THEN tally('${table}') ELSE g END AS n FROM generate_series(1, 9) g`,
      values: [5],
      rows: 2,
    })
    // After an error pg sends no Sync for these: the connection is of no use then.
    const other = new pg.Client({ connectionString: cluster.current.weftUrl })
    await other.connect()
    await other.query('BEGIN')
    expect((await other.query(few('ref'))).rows).toHaveLength(9)
    await expect(other.query(few('orders'))).rejects.toMatchObject({ code: '0A000' })
    await other.end()
  })

  test('in a block: what the client itself did before counts for nothing', async () => {
    await client.query('BEGIN')
    expect(await number('SELECT count(*) FROM orders')).toBe(KEYS.length)
    await client.query('UPDATE ref SET n = n + 1')
    await client.query("DO $$ BEGIN EXECUTE 'INSERT INTO here VALUES (5, 5)'; END $$")
    expect(await number("SELECT tally('ref')")).toBe(2)
    await client.query('SAVEPOINT s')
    expect(await refused("SELECT tally('orders')")).toContain('read sharded')
    await client.query('ROLLBACK TO s')
    expect(await refused("SELECT wipe('ref')")).toContain('changed reference')
    await client.query('ROLLBACK TO s')
    expect(await number("SELECT tally('here')")).toBe(1)
    await client.query('COMMIT')
    expect(await copies()).toHaveLength(1)
    expect(await number('SELECT n FROM ref WHERE id = 1')).toBe(11)
    await client.query('UPDATE ref SET n = n - 1; DELETE FROM here')
  })

  test('what an exception handler took back', async () => {
    await client.query(`CREATE FUNCTION sneaks(sql text) RETURNS bigint LANGUAGE plpgsql AS $$
      DECLARE n bigint; BEGIN BEGIN EXECUTE sql INTO n; RAISE 'back'; EXCEPTION WHEN OTHERS THEN NULL; END; RETURN n; END $$`)
    expect(await refused("SELECT sneaks('SELECT count(*) FROM ord' || 'ers')")).toContain('read sharded')
    expect(await refused("SELECT sneaks('SELECT v FROM ord' || 'ers WHERE k = 1')")).toContain('read sharded')
    expect(await number("SELECT sneaks('SELECT count(*) FROM here')")).toBe(0)
  })

  test('in REPEATABLE READ and SERIALIZABLE', async () => {
    for (const level of ['REPEATABLE READ', 'SERIALIZABLE']) {
      await client.query(`BEGIN ISOLATION LEVEL ${level}`)
      expect(await number("SELECT tally('ref')")).toBe(2)
      expect(await number('SELECT count(*) FROM orders')).toBe(KEYS.length)
      await refused("SELECT tally('orders')")
      await client.query('ROLLBACK')
    }
  })

  test('code that may commit in its midst', async () => {
    await client.query(`CREATE PROCEDURE commits(t text) LANGUAGE plpgsql AS $$
      BEGIN EXECUTE format('DELETE FROM %I', t); COMMIT; END $$`)
    expect(await refused("CALL commits('ref')")).toContain('may commit in its midst')
    await unchanged()
  })
})

describe('triggers', () => {
  beforeAll(async () => {
    await fill()
    await client.query(`CREATE FUNCTION count_in_ref() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN UPDATE ref SET n = n + 1 WHERE id = 1; RETURN NEW; END $$`)
  })

  test('of a sharded table that writes a reference table', async () => {
    for (const table of ['orders', 'lines']) {
      await client.query(
        `CREATE TRIGGER t AFTER INSERT OR UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION count_in_ref()`,
      )
    }
    for (const sql of [
      'INSERT INTO orders VALUES (100, 1, 1)',
      'INSERT INTO orders VALUES (100, 1, 1), (101, 1, 1), (102, 1, 1)',
      'INSERT INTO lines SELECT k, v, v FROM orders',
      'UPDATE orders SET v = 0',
      'UPDATE orders SET v = 0 WHERE k = 1',
      'WITH x AS (UPDATE orders SET v = 0 WHERE k = 1 RETURNING k) SELECT * FROM orders WHERE k = 1',
    ]) {
      expect(await refused(sql)).toContain('changed reference table "public.ref"')
    }
    await expect(client.query('UPDATE orders SET v = $1 WHERE k = $2', [1, 2])).rejects.toMatchObject({
      code: '0A000',
    })
    await unchanged()
    await client.query('BEGIN; DELETE FROM orders WHERE k = 9; INSERT INTO here VALUES (1, 1); COMMIT')
    await client.query('DROP TRIGGER t ON orders; DROP TRIGGER t ON lines')
    await client.query('INSERT INTO orders VALUES (9, 9, 1)')
  })

  test('of a local table', async () => {
    await client.query(`CREATE FUNCTION count_orders() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN NEW.v := (SELECT count(*) FROM orders); RETURN NEW; END $$`)
    await client.query('CREATE TRIGGER t AFTER INSERT ON here FOR EACH ROW EXECUTE FUNCTION count_in_ref()')
    await client.query('CREATE TRIGGER u BEFORE UPDATE ON here FOR EACH ROW EXECUTE FUNCTION count_orders()')
    expect(await refused('INSERT INTO here VALUES (7, 7)')).toContain('changed reference')
    expect(await refused('UPDATE here SET v = 5')).toContain('read sharded')
    await unchanged()
    await client.query('DROP TRIGGER t ON here; DROP TRIGGER u ON here')
  })

  test('of a local table to which an action of a foreign key leads: it fires on home only', async () => {
    await client.query('CREATE TABLE kept (id int PRIMARY KEY, r int REFERENCES ref ON DELETE CASCADE)')
    await client.query(`CREATE FUNCTION tell_ref() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN EXECUTE 'INSERT INTO r' || 'ef_log VALUES ($1, 0)' USING OLD.id; RETURN NULL; END $$`)
    await client.query('CREATE TRIGGER t AFTER DELETE ON kept FOR EACH ROW EXECUTE FUNCTION tell_ref()')
    await client.query('INSERT INTO ref VALUES (50, 0); INSERT INTO kept VALUES (1, 50)')
    expect(await refused('DELETE FROM ref WHERE id = 50')).toContain(
      'changed reference table "public.ref_log"',
    )
    expect(await copies('ref_log')).toHaveLength(1)
    expect(await number('SELECT count(*) FROM kept')).toBe(1)
    await client.query('DROP TRIGGER t ON kept')
    await client.query('DELETE FROM ref WHERE id = 50')
    expect(await number('SELECT count(*) FROM kept')).toBe(0)
    await client.query('DROP TABLE kept')
    await unchanged()
  })

  test('deferred to the COMMIT, which fails, and ends the transaction', async () => {
    await client.query(`CREATE FUNCTION wipe_orders() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN EXECUTE 'DELETE FROM ord' || 'ers'; RETURN NULL; END $$`)
    await client.query(
      `CREATE CONSTRAINT TRIGGER t AFTER INSERT ON here DEFERRABLE INITIALLY DEFERRED
       FOR EACH ROW EXECUTE FUNCTION wipe_orders()`,
    )
    await client.query('BEGIN; INSERT INTO here VALUES (70, 1); INSERT INTO here VALUES (71, 1)')
    expect(await refused('COMMIT')).toContain('code that this COMMIT runs has changed sharded table')
    expect(await number('SELECT count(*) FROM here WHERE id > 69')).toBe(0)
    await unchanged()
    await client.query('DROP TRIGGER t ON here')
  })

  test('foreign keys of a table are no excuse for code that writes it', async () => {
    await client.query(
      "CREATE TABLE child (id int PRIMARY KEY, r int REFERENCES ref ON DELETE SET NULL, v int) WITH (shard_key = 'id')",
    )
    await client.query('INSERT INTO child SELECT g, 1, 0 FROM generate_series(1, 20) g')
    await client.query(
      `CREATE FUNCTION run(text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE $1; RETURN 1; END $$`,
    )
    await client.query(`CREATE FUNCTION run_it() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN EXECUTE 'UPDATE child SET v = v + 1'; RETURN NULL; END $$`)
    await client.query('CREATE TRIGGER t AFTER INSERT ON here FOR EACH ROW EXECUTE FUNCTION run_it()')
    for (const sql of [
      "SELECT wipe('child')",
      "SELECT run('UPDATE child SET v = 1 WHERE id = 1')",
      "SELECT run('UPDATE child SET v = 1')",
      "CREATE TABLE made AS SELECT wipe('child')",
      'INSERT INTO here VALUES (70, 7)',
    ]) {
      expect(await refused(sql)).toMatch(/(changed|read) sharded table "public.child"/)
    }
    await client.query('DROP TRIGGER t ON here')
    await client.query(
      'INSERT INTO ref VALUES (60, 0); UPDATE child SET r = 60 WHERE id < 9; DELETE FROM ref WHERE id = 60',
    )
    expect(await number('SELECT count(*) FROM child WHERE r IS NULL')).toBe(8)
    expect(await number('SELECT sum(v) FROM child')).toBe(0)
    await client.query('DROP TABLE child')
    await unchanged()
  })

  test('functions of pg_temp see no part of a sharded table, and change none', async () => {
    await client.query(
      `CREATE FUNCTION pg_temp.looks() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM orders'`,
    )
    await client.query(`CREATE FUNCTION pg_temp.zeroes() RETURNS int LANGUAGE plpgsql AS $$
      BEGIN UPDATE orders SET v = 0; RETURN 1; END $$`)
    await client.query(`CREATE FUNCTION pg_temp.adds(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + 1'`)
    for (const sql of [
      'SELECT pg_temp.looks()',
      'SELECT pg_temp.looks(), count(*) FROM orders',
      'SELECT pg_temp.zeroes()',
      'INSERT INTO here VALUES (pg_temp.zeroes() + 70)',
    ]) {
      expect(await refused(sql)).toMatch(/sharded table "public.orders"|function looks\(\)/)
    }
    expect(await number('SELECT pg_temp.adds(1)')).toBe(2)
    await unchanged()
  })

  test('for TRUNCATE of a local table, and of one to which a cascade leads', async () => {
    await client.query(`CREATE FUNCTION zero() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN EXECUTE 'UPDATE orders SET v = 0'; RETURN NULL; END $$`)
    await client.query('CREATE TABLE kept (id int PRIMARY KEY, r int REFERENCES ref ON DELETE CASCADE)')
    await client.query('CREATE TRIGGER t AFTER TRUNCATE ON kept FOR EACH STATEMENT EXECUTE FUNCTION zero()')
    await client.query('CREATE TRIGGER u AFTER DELETE ON kept FOR EACH ROW EXECUTE FUNCTION zero()')
    await client.query('INSERT INTO ref VALUES (50, 0); INSERT INTO kept VALUES (1, 50)')
    for (const sql of [
      'TRUNCATE kept',
      'TRUNCATE kept, here_log',
      'TRUNCATE lines, kept',
      'DELETE FROM kept',
      'DELETE FROM ref WHERE id = 50',
    ]) {
      expect(await refused(sql)).toContain('changed sharded table "public.orders"')
    }
    expect(await number('SELECT count(*) FROM orders WHERE v = 0')).toBe(0)
    await client.query('DROP TABLE kept; DELETE FROM ref WHERE id = 50')
    await unchanged()
  })

  test('of a sharded table, on the table itself, by dynamic SQL', async () => {
    await client.query(`CREATE FUNCTION run_own() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN IF pg_trigger_depth() < 2 THEN EXECUTE format(TG_ARGV[0], TG_TABLE_NAME); END IF; RETURN NEW; END $$`)
    for (const [own, did] of [
      ['SELECT count(*) FROM %I', 'read'],
      ['UPDATE %I SET v = 0', 'changed'],
      ['DELETE FROM %I', 'changed'],
    ]) {
      await client.query(
        `CREATE TRIGGER t AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION run_own('${own}')`,
      )
      expect(await refused('INSERT INTO orders VALUES (70, 1, 1)')).toContain(
        `${did} sharded table "public.orders"`,
      )
      await client.query('DROP TRIGGER t ON orders')
    }
    await client.query(
      `CREATE TRIGGER t BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION run_own('TABLE %I')`,
    )
    for (const where of ['', 'WHERE k = 1'])
      expect(await refused(`UPDATE orders SET v = 0 ${where}`)).toContain(
        'read sharded table "public.orders"',
      )
    await client.query('DROP TRIGGER t ON orders')
    await unchanged()
  })

  test('whose rows go along with those of the statement are right', async () => {
    await client.query(
      'CREATE TRIGGER t AFTER INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION log_anything()',
    )
    await client.query('INSERT INTO orders VALUES (200, 1, 1), (201, 1, 1), (202, 1, 1), (203, 1, 1)')
    await client.query('UPDATE orders SET v = 5 WHERE k >= 200')
    expect(await number('SELECT count(*) FROM orders_log')).toBe(8)
    await client.query('BEGIN; SELECT count(*) FROM orders_log')
    await client.query('UPDATE orders SET v = 5 WHERE k = 200')
    await client.query('COMMIT')
    await client.query('DROP TRIGGER t ON orders; DELETE FROM orders WHERE k >= 200')
  })
})

describe('triggers of sharded tables that name sharded tables', () => {
  const trigger = async (body: string) => {
    await client.query(`CREATE OR REPLACE FUNCTION keyed() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN ${body} RETURN NEW; END $$`)
    await client.query('DROP TRIGGER IF EXISTS t ON orders')
    await client.query(
      'CREATE TRIGGER t BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION keyed()',
    )
  }
  beforeAll(async () => {
    await fill()
    await client.query(`INSERT INTO lines VALUES ${KEYS.map((k) => `(${k}, 1, ${k * 2})`).join(', ')}`)
  })
  afterAll(() => client.query('DROP TRIGGER t ON orders'))

  test('by the key of their row: right', async () => {
    await trigger(
      'NEW.v := (SELECT sum(v) FROM lines WHERE k = NEW.k); UPDATE lines SET v = v + 1 WHERE k = NEW.k;',
    )
    await client.query('UPDATE orders SET ref = 1')
    expect(await number('SELECT sum(v) FROM orders')).toBe(90)
    expect(await number('SELECT sum(v) FROM lines')).toBe(90 + KEYS.length)
    await client.query('UPDATE orders SET ref = 1 WHERE k = 1')
    expect(await number('SELECT v FROM orders WHERE k = 1')).toBe(3)
  })

  test('otherwise: refused', async () => {
    await trigger('NEW.v := (SELECT sum(v) FROM lines);')
    expect(await refused('UPDATE orders SET ref = 1 WHERE k = 1')).toContain(
      'has read sharded table "public.lines"',
    )
    await trigger('UPDATE lines SET v = 0 WHERE n = NEW.v;')
    expect(await refused('UPDATE orders SET ref = 1')).toContain('sharded table "public.lines"')
  })

  test('the table itself', async () => {
    await trigger('NEW.v := (SELECT count(*) FROM orders);')
    expect(await refused('UPDATE orders SET ref = 1 WHERE k = 1')).toContain('names the table itself')
    expect(await refused('INSERT INTO orders VALUES (50, 1, 1)')).toContain('names the table itself')
    await client.query('BEGIN; DELETE FROM orders WHERE k = 1; ROLLBACK')
  })
})

test('foreign keys: checks and cascades stay with the rows', async () => {
  await fill()
  await client.query(
    'ALTER TABLE orders ADD FOREIGN KEY (ref) REFERENCES ref ON UPDATE CASCADE ON DELETE CASCADE',
  )
  await client.query('ALTER TABLE lines ADD FOREIGN KEY (k) REFERENCES orders ON DELETE CASCADE')
  await client.query(
    'CREATE TRIGGER t AFTER INSERT OR UPDATE ON lines FOR EACH ROW EXECUTE FUNCTION log_anything()',
  )
  await client.query("CREATE TABLE lines_log (k int, what text) WITH (shard_key = 'k')")
  await client.query('CREATE TRIGGER t AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION log_anything()')
  await client.query('INSERT INTO orders VALUES (300, 1, 2), (301, 1, 2)')
  await client.query('INSERT INTO lines VALUES (300, 1, 1), (301, 1, 1), (1, 1, 1)')
  await client.query('DELETE FROM orders WHERE k = 300')
  await client.query('UPDATE ref SET id = 3 WHERE id = 2')
  await client.query('DELETE FROM ref WHERE id = 3')
  expect(await number('SELECT count(*) FROM lines')).toBe(1)
  await client.query(
    'DROP TABLE lines, lines_log; DROP TRIGGER t ON orders; ALTER TABLE orders DROP CONSTRAINT orders_ref_fkey',
  )
})

test('a materialized view made before its table was distributed', async () => {
  await client.query('CREATE TABLE early (k int PRIMARY KEY)')
  await client.query('CREATE MATERIALIZED VIEW early_count AS SELECT count(*) FROM early')
  await client.query("SELECT create_distributed_table('early', 'k')")
  await client.query('INSERT INTO early SELECT generate_series(1, 40)')
  await client.query('REFRESH MATERIALIZED VIEW early_count')
  expect(await number('SELECT count FROM early_count')).toBe(40)
  await client.query(`CREATE MATERIALIZED VIEW early_other AS SELECT tally('early') AS n FROM early`)
  expect(await number('SELECT min(n) FROM early_other')).toBe(40)
  const other = `CREATE MATERIALIZED VIEW other AS SELECT tally('orders') AS n FROM early`
  expect(await refused(other)).toContain('read sharded table "public.orders"')
})

test('a default by a function that reads a part', async () => {
  await client.query("CREATE TABLE defaulted (id int, n bigint DEFAULT tally('orders'))")
  expect(await refused('INSERT INTO defaulted (id) VALUES (1)')).toContain('read sharded')
})

describe('values that differ from server to server, in a reference table', () => {
  const SERVERS_OWN = [
    "current_setting('cluster_name')",
    "current_setting('port')",
    'inet_server_port()',
    'version()',
    "(SELECT setting FROM pg_settings WHERE name = 'data_directory')",
    '(SELECT max(oid)::text FROM pg_class)',
    "'ref'::regclass::oid",
    'txid_current()',
    'random()',
    'gen_random_uuid()',
    "obj_description('pg_class'::regclass, 'pg_class')",
  ]

  beforeAll(async () => {
    await client.query(
      "CREATE TABLE told (id int, v text DEFAULT current_setting('port')) WITH (reference = true)",
    )
    await client.query("INSERT INTO told VALUES (1, 'a')")
  })

  test.each(SERVERS_OWN)('%s', async (value) => {
    await refused(`UPDATE told SET v = ${value}`)
    for (const sql of [`INSERT INTO told VALUES (2, ${value})`, `INSERT INTO told SELECT 3, ${value}`]) {
      const done = await client.query(sql).then(
        () => 'done',
        (error: { code: string }) => error.code,
      )
      expect(['done', '0A000']).toContain(done)
    }
    expect(await copies('told')).toHaveLength(1)
  })

  test('a default is evaluated once', async () => {
    await client.query('INSERT INTO told (id) VALUES (4), (5)')
    await client.query('INSERT INTO told (id) SELECT 6')
    expect(await copies('told')).toHaveLength(1)
  })

  test('what depends on arguments and the session’s settings only is the same everywhere', async () => {
    await client.query("SET my.tenant = 'x'; SET TimeZone = 'Asia/Tokyo'")
    await client.query(
      "UPDATE told SET v = concat(current_setting('my.tenant'), to_char('2024-01-01 00:00Z'::timestamptz, 'HH24'), current_user)",
    )
    expect(await number("SELECT count(*) FROM told WHERE v LIKE 'x09%'")).toBeGreaterThan(0)
    expect(await copies('told')).toHaveLength(1)
    await client.query('RESET ALL')
  })
})

describe('roles and what else belongs to the whole server', () => {
  const make = (name: string) => `EXECUTE format('CREATE ROLE %I', '${name}');`

  beforeAll(async () => {
    await client.query('CREATE ROLE reach_known')
    await client.query(`CREATE FUNCTION make_role(name text) RETURNS void LANGUAGE plpgsql AS $$
      BEGIN EXECUTE format('CREATE ROLE %I', name); END $$`)
  })

  test.each([
    ['DO $$ BEGIN CREATE ROLE reach_made; END $$', 'pg_authid'],
    [`DO $$ BEGIN ${make('reach_made')} END $$`, 'pg_authid'],
    [`DO $$ BEGIN CREATE TYPE reach_type AS (a int); ${make('reach_made')} END $$`, 'pg_authid'],
    ["SELECT make_role('reach_made')", 'pg_authid'],
    ["INSERT INTO here SELECT 77 WHERE make_role('reach_made') IS NOT NULL", 'pg_authid'],
    ['DO $$ BEGIN DROP ROLE reach_known; END $$', 'pg_authid'],
    ["DO $$ BEGIN ALTER ROLE reach_known SET work_mem = '5MB'; END $$", 'pg_db_role_setting'],
    ['DO $$ BEGIN ALTER ROLE reach_known LOGIN; END $$', 'pg_authid'],
    ['DO $$ BEGIN GRANT reach_known TO CURRENT_USER; END $$', 'pg_auth_members'],
    ["DO $$ BEGIN COMMENT ON ROLE reach_known IS 'x'; END $$", 'pg_shdescription'],
  ])('%s: refused', async (sql, catalog) => {
    expect(await refused(sql)).toContain(`(pg_catalog.${catalog})`)
    await client.query('BEGIN; CREATE ROLE reach_before')
    expect(await refused(sql)).toContain('belongs to the whole server')
    await client.query('ROLLBACK')
    const roles = "SELECT rolname, rolconfig FROM pg_roles WHERE rolname LIKE 'reach%'"
    for (const { url } of shards())
      expect(await query(url, roles)).toEqual([{ rolname: 'reach_known', rolconfig: null }])
  })

  test('code that changes none of it runs', async () => {
    await client.query(`DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'reach_known') THEN
      CREATE ROLE reach_known; END IF; GRANT SELECT ON here TO reach_known; END $$`)
    await client.query('BEGIN; CREATE ROLE reach_both')
    await client.query("DO $$ BEGIN EXECUTE 'INSERT INTO here VALUES (78, 1)'; END $$")
    await client.query('COMMIT')
    for (const { url } of shards())
      expect(await query(url, "SELECT FROM pg_roles WHERE rolname = 'reach_both'")).toHaveLength(1)
    await client.query('DROP ROLE reach_both')
  })
})

test('a trigger of a sharded table draws from a sequence: refused where it would be that of a shard', async () => {
  const trigger = `CREATE TABLE numbered (k int PRIMARY KEY, n bigint) WITH (shard_key = 'k');
    CREATE SEQUENCE numbers;
    CREATE FUNCTION number_row() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN NEW.n := coalesce(NEW.n, nextval('numbers')); RETURN NEW; END $$;
    CREATE TRIGGER numbers BEFORE INSERT ON numbered FOR EACH ROW EXECUTE FUNCTION number_row()`
  for (const sql of trigger.split(/;\n/)) await client.query(sql)
  const all = KEYS.map((k) => `(${k})`).join(', ')
  expect(await refused(`INSERT INTO numbered (k) VALUES ${all}`)).toContain('sequence "numbers"')
  expect(await refused('INSERT INTO numbered (k) SELECT n FROM generate_series(1, 20) n')).toContain(
    '"numbers"',
  )
  const outcomes = new Set<string>()
  for (const k of KEYS) {
    const one = client.query('INSERT INTO numbered (k) VALUES ($1)', [k])
    outcomes.add(
      await one.then(
        () => 'drawn at home',
        (error: { code: string }) => error.code,
      ),
    )
  }
  expect([...outcomes].sort()).toEqual(['0A000', 'drawn at home'])
  expect(await number('SELECT count(n) - count(DISTINCT n) FROM numbered')).toBe(0)
  await client.query('INSERT INTO numbered SELECT n, 100 + n FROM generate_series(101, 120) n')
})

test('a trigger deferred to the COMMIT of a block on one shard: looked at, too', async () => {
  const late = `CREATE TABLE late (a int);
    CREATE FUNCTION wipe_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM wipe('orders'); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER late AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wipe_late()`
  for (const sql of late.split(/;\n {4}CREATE/).map((part, i) => (i === 0 ? part : `CREATE${part}`)))
    await client.query(sql)
  await client.query('INSERT INTO orders (k) SELECT n FROM generate_series(2001, 2020) n')
  const before = await number('SELECT count(*) FROM orders')
  await client.query('BEGIN')
  await client.query('INSERT INTO late VALUES (1)')
  expect(await refused('COMMIT')).toContain('orders"')
  expect(await number('SELECT count(*) FROM orders')).toBe(before)
  expect(await number('SELECT count(*) FROM late')).toBe(0)
})
