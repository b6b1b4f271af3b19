import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'

/** create_distributed_function: functions that touch one key's rows run on the shard of that key, as on one Postgres. */

const cluster = useTestCluster()
let weft: pg.Client
let plain: pg.Client

const TABLES = [
  [
    'CREATE TABLE orders (tenant int, id int, total int, PRIMARY KEY (tenant, id))',
    "WITH (shard_key = 'tenant')",
  ],
  ['CREATE TABLE lines (tenant int, id int, n int, price int)', "WITH (shard_key = 'tenant')"],
  ['CREATE TABLE names (name text PRIMARY KEY, v int)', "WITH (shard_key = 'name')"],
  ['CREATE TABLE numbered (tenant int, id serial)', "WITH (shard_key = 'tenant')"],
  ['CREATE TABLE rates (id int PRIMARY KEY, rate int)', 'WITH (reference = true)'],
  ['CREATE TABLE here (id int)', ''],
]

const FUNCTIONS = [
  `CREATE FUNCTION total_of(p_tenant int) RETURNS bigint LANGUAGE sql AS $$
    SELECT coalesce(sum(o.total * r.rate), 0) FROM orders o JOIN rates r ON r.id = 1 WHERE o.tenant = p_tenant $$`,
  `CREATE FUNCTION add_order(p_tenant int, p_id int, p_prices int[]) RETURNS int LANGUAGE plpgsql AS $$
    DECLARE v_total orders.total%TYPE; v_price int; n int := 0;
    BEGIN
      INSERT INTO orders (tenant, id, total) VALUES (p_tenant, p_id, 0);
      FOREACH v_price IN ARRAY p_prices LOOP
        n := n + 1;
        INSERT INTO lines (tenant, id, n, price) VALUES (p_tenant, p_id, n, v_price);
      END LOOP;
      SELECT sum(CASE WHEN l.price > 0 THEN l.price ELSE 0 END) INTO v_total FROM lines l
        WHERE l.tenant = p_tenant AND l.id = p_id;
      UPDATE orders SET total = v_total WHERE tenant = p_tenant AND id = p_id;
      IF v_total > 1000 THEN RAISE EXCEPTION 'too much: %', v_total; END IF;
      RETURN total_of(p_tenant);
    END $$`,
  `CREATE FUNCTION orders_of(kind text, int) RETURNS SETOF orders STABLE LANGUAGE sql
    AS 'SELECT * FROM orders WHERE tenant = $2 ORDER BY id'`,
  `CREATE PROCEDURE drop_orders(p_tenant int, INOUT gone int) LANGUAGE plpgsql AS $$
    BEGIN
      DELETE FROM lines WHERE tenant = p_tenant;
      DELETE FROM orders WHERE tenant = p_tenant;
      GET DIAGNOSTICS gone = ROW_COUNT;
    END $$`,
  `CREATE FUNCTION put_name(p_name text, p_v int) RETURNS int LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO names VALUES (p_name, p_v) ON CONFLICT (name) DO UPDATE SET v = p_v;
      RETURN (SELECT v FROM names WHERE name = p_name); END $$`,
]

const KEYS = [
  "SELECT create_distributed_function('total_of(int)', 'p_tenant', colocate_with => 'orders')",
  "SELECT create_distributed_function('add_order(int, int, int[])', 'p_tenant', 'orders')",
  "SELECT create_distributed_function('orders_of(text, int)', '$2', colocate_with => 'lines')",
  "SELECT create_distributed_function('drop_orders(int, int)', 'p_tenant')",
  "SELECT create_distributed_function('put_name', distribution_arg_name => 'p_name')".replace(
    'put_name',
    'put_name(text, int)',
  ),
]

beforeAll(async () => {
  weft = new pg.Client({ connectionString: cluster.current.weftUrl })
  plain = new pg.Client({ connectionString: cluster.current.plainUrl })
  await Promise.all([weft.connect(), plain.connect()])
  for (const [table, how] of TABLES) {
    await plain.query(table!)
    await weft.query(`${table} ${how}`)
  }
  for (const sql of FUNCTIONS) await both(sql)
  for (const sql of KEYS) await weft.query(sql)
})
beforeEach(async () => {
  await both('TRUNCATE orders, lines, names, rates')
  await both('INSERT INTO rates VALUES (1, 2)')
})
afterEach(() => both('ROLLBACK'))
afterAll(() => Promise.all([weft.end(), plain.end()]))

interface Answer {
  readonly rows?: unknown
  readonly error?: string
}

async function answerOf(client: pg.Client, sql: string, params?: unknown[]): Promise<Answer> {
  try {
    return { rows: (await client.query(sql, params)).rows as unknown }
  } catch (error) {
    const { code, message } = error as { code: string; message: string }
    return { error: `${code} ${message}` }
  }
}

async function both(sql: string, params?: unknown[]): Promise<Answer> {
  const [a, b] = await Promise.all([answerOf(weft, sql, params), answerOf(plain, sql, params)])
  expect(a, sql).toEqual(b)
  return a
}

async function refused(sql: string, params?: unknown[]): Promise<string> {
  const { error } = await answerOf(weft, sql, params)
  expect(error, sql).toMatch(/^0A000/)
  return error!
}

const sameRows = async () => {
  await both('SELECT * FROM orders ORDER BY 1, 2')
  await both('SELECT * FROM lines ORDER BY 1, 2, 3')
}

describe('as on one Postgres', () => {
  test('calls with literals and parameters, of functions and procedures', async () => {
    for (let tenant = 1; tenant <= 8; tenant++) {
      await both(`SELECT add_order(${tenant}, 1, '{10,-3,5}')`)
      await both('SELECT add_order($1, $2, $3) AS x', [tenant, 2, [tenant]])
      await both(`SELECT * FROM orders_of('any', ${tenant})`)
      await both('SELECT id, total FROM orders_of($1, $2) WHERE total > 1', ['x', tenant])
      await both(`SELECT total_of(p_tenant => ${tenant}) + 1 AS x, upper('a')`)
      await both(`SELECT o.id, total_of(${tenant}) FROM orders o WHERE o.tenant = ${tenant} ORDER BY 1`)
    }
    await sameRows()
    await both('CALL drop_orders(3, NULL)')
    await both('CALL drop_orders($1, NULL)', [4])
    await both('SELECT total_of(NULL)')
    await both("SELECT put_name('a', 1), put_name('a', 2)")
    await both("SELECT put_name('b', 1)")
    await both('SELECT * FROM names ORDER BY 1')
    await sameRows()
  })

  test('prepared, in cursors, explained', async () => {
    await both('PREPARE t(int) AS SELECT total_of($1)')
    for (let tenant = 1; tenant <= 6; tenant++) {
      await both(`SELECT add_order(${tenant}, 1, '{7}')`)
      await both(`EXECUTE t(${tenant})`)
    }
    await both('DEALLOCATE t')
    await both('BEGIN')
    await both("DECLARE c CURSOR FOR SELECT * FROM orders_of('', 5)")
    await both('FETCH ALL FROM c')
    await both('COMMIT')
    await weft.query("EXPLAIN ANALYZE SELECT add_order(5, 9, '{1}')")
    await plain.query("SELECT add_order(5, 9, '{1}')")
    await sameRows()
  })

  test('transactions over two keys, rolled back, and what fails', async () => {
    await both('BEGIN')
    await both("SELECT add_order(1, 1, '{1}')")
    await both("SELECT add_order(2, 1, '{2}')")
    await both('SELECT total_of(1)')
    await both('SAVEPOINT s')
    await both("SELECT add_order(3, 1, '{2000}')")
    await both('ROLLBACK TO s')
    await both('COMMIT')
    await sameRows()
    await both('BEGIN')
    await both("SELECT add_order(4, 1, '{1}')")
    await both('CALL drop_orders(1, NULL)')
    await both('ROLLBACK')
    await both("SELECT add_order(1, 1, '{1}')")
    await both("SELECT add_order(5, 1, '{999,2}')")
    await sameRows()
  })
})

test('what is not on one shard is refused', async () => {
  await both('INSERT INTO orders SELECT g, 1, g FROM generate_series(1, 8) g')
  expect(await refused('SELECT total_of(o.tenant) FROM orders o')).toContain('is no constant')
  expect(await refused('SELECT total_of(1 + 1)')).toContain('is no constant')
  expect(await refused("SELECT total_of('2020-01-01'::date - '2019-12-31')")).toContain('is no constant')
  expect(await refused('SELECT total_of(1), total_of(2), total_of(3), total_of(4)')).toContain(
    'different shards',
  )
  expect(await refused('SELECT total_of(1) FROM orders')).toContain('beside rows of other keys')
  expect(await refused('SELECT total_of(1) FROM here')).toContain('local table')
  expect(await refused('SELECT total_of(1), txid_current()')).toContain('txid_current')
  await refused('UPDATE orders SET total = total_of(1) WHERE tenant = 1')
  await refused('INSERT INTO here SELECT total_of(1)')
  await refused('CREATE TABLE made AS SELECT total_of(1)')
  await weft.query('BEGIN')
  await weft.query('CREATE TEMP TABLE rates (id int, rate int)')
  expect(await refused('SELECT total_of(1)')).toContain('finds another')
})

const body = (text: string) =>
  `CREATE OR REPLACE FUNCTION tried(p_tenant int, other int) RETURNS int LANGUAGE plpgsql AS $$
    DECLARE n int; BEGIN ${text} RETURN n; END $$`

test.each([
  ['SELECT count(*) INTO n FROM orders;', 'otherwise than by its key'],
  ['DELETE FROM orders WHERE tenant = other;', 'otherwise than by its key'],
  ['DELETE FROM orders WHERE tenant = p_tenant OR total = 0;', 'otherwise than by its key'],
  ['UPDATE rates SET rate = 1; DELETE FROM orders WHERE tenant = p_tenant;', 'which is not sharded'],
  ['p_tenant := 2; DELETE FROM orders WHERE tenant = p_tenant;', 'may set its argument'],
  ['SELECT 2 INTO p_tenant; DELETE FROM orders WHERE tenant = p_tenant;', 'may set its argument'],
  [
    'DECLARE a int[]; BEGIN SELECT id, total INTO a[1], p_tenant FROM orders; DELETE FROM orders WHERE tenant = p_tenant; END;',
    'may set its argument',
  ],
  [
    'DECLARE p_tenant int := 4; BEGIN DELETE FROM orders WHERE tenant = p_tenant; END;',
    'may set its argument',
  ],
  ['FOR p_tenant IN 1..3 LOOP DELETE FROM orders WHERE tenant = p_tenant; END LOOP;', 'may set its argument'],
  ["EXECUTE 'DELETE FROM orders';", 'puts together'],
  ['INSERT INTO numbered (tenant) VALUES (p_tenant);', 'draws from the sequence'],
  ['SELECT total_of(other) INTO n;', 'with another key'],
  ["SELECT put_name('x', p_tenant) INTO n;", 'another key'],
  ['SELECT count(*) INTO n FROM here, orders WHERE tenant = p_tenant;', 'which is local'],
  ['SELECT txid_current() INTO n FROM orders WHERE tenant = p_tenant;', 'home shard only'],
  ['PERFORM helper(); DELETE FROM orders WHERE tenant = p_tenant;', 'helper'],
  ['CREATE TEMP TABLE t AS SELECT * FROM orders;', 'more than queries'],
])('a body that says %s', async (text, why) => {
  await weft.query(
    "CREATE OR REPLACE FUNCTION helper() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM orders'",
  )
  await weft.query(body(text))
  expect(await refused("SELECT create_distributed_function('tried(int, int)', 'p_tenant')")).toContain(why)
})

test('in SQL a column of the name is meant', async () => {
  await weft.query(`CREATE FUNCTION captured(tenant int) RETURNS bigint LANGUAGE sql AS
    'SELECT count(*) FROM orders WHERE orders.tenant = tenant'`)
  expect(await refused("SELECT create_distributed_function('captured(int)', 'tenant')")).toContain(
    'say captured.tenant',
  )
  await both('INSERT INTO orders SELECT g, 1, g FROM generate_series(1, 8) g')
  await weft.query(`CREATE OR REPLACE FUNCTION captured(tenant int) RETURNS bigint LANGUAGE sql
    BEGIN ATOMIC SELECT count(*) FROM orders WHERE orders.tenant = captured.tenant; END`)
  await weft.query("SELECT create_distributed_function('captured(int)', 'tenant')")
  expect((await weft.query('SELECT captured(3) AS n')).rows).toEqual([{ n: '1' }])
})

test('a body that is replaced, a function that is dropped, and the key taken away', async () => {
  await weft.query(body('SELECT count(*) INTO n FROM orders WHERE tenant = p_tenant;'))
  await weft.query("SELECT create_distributed_function('tried(int, int)', 'p_tenant')")
  await weft.query('INSERT INTO orders SELECT g, 1, g FROM generate_series(1, 8) g')
  expect((await weft.query('SELECT tried(3, 1)')).rows).toEqual([{ tried: 1 }])
  await weft.query(body('SELECT count(*) INTO n FROM orders;'))
  expect(await refused('SELECT tried(3, 1)')).toContain('otherwise than by its key')
  await weft.query(body('SELECT count(*) + 1 INTO n FROM orders WHERE tenant = p_tenant;'))
  expect((await weft.query('SELECT tried(3, 1)')).rows).toEqual([{ tried: 2 }])
  await weft.query("SELECT undistribute_function('tried(int, int)')")
  expect(await refused('SELECT tried(3, 1)')).toContain('names sharded')
  await weft.query("SELECT create_distributed_function('tried(int, int)', 'p_tenant')")
  await weft.query('DROP FUNCTION tried')
  await weft.query(body('SELECT count(*) INTO n FROM orders WHERE tenant = p_tenant;'))
  expect(await refused('SELECT tried(3, 1)')).toContain('names sharded')
  expect((await weft.query('SELECT funcid FROM weft.function')).rows).toHaveLength(6)
})

test('triggers of what it writes read by the key of their row', async () => {
  await both(`CREATE FUNCTION count_lines() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE orders SET total = (SELECT count(*) FROM lines WHERE tenant = NEW.tenant) WHERE tenant = NEW.tenant; RETURN NULL; END $$`)
  await both('CREATE TRIGGER counted AFTER INSERT ON lines FOR EACH ROW EXECUTE FUNCTION count_lines()')
  await both("SELECT add_order(6, 1, '{1,2}')")
  await sameRows()
  await weft.query(`CREATE OR REPLACE FUNCTION count_lines() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM count(*) FROM lines; RETURN NULL; END $$`)
  expect(await refused("SELECT add_order(6, 2, '{1,2}')")).toContain('count_lines')
  await both('DROP TRIGGER counted ON lines')
})

test('what cannot be declared', async () => {
  const error = async (sql: string) => (await answerOf(weft, sql)).error
  expect(await error("SELECT create_distributed_function('nobody(int)', 'x')")).toMatch(/^42883/)
  expect(await error("SELECT create_distributed_function('total_of(int)', 'x')")).toMatch(/^42P13/)
  expect(await error("SELECT create_distributed_function('total_of(int)', '$2')")).toMatch(/^42P13/)
  expect(await error("SELECT create_distributed_function('total_of(int)', 'p_tenant', 'names')")).toMatch(
    /^42804/,
  )
  expect(await error("SELECT create_distributed_function('total_of(int)', 'p_tenant', 'here')")).toMatch(
    /^42809/,
  )
  expect(await error("SELECT create_distributed_function('drop_orders(int, int)', 'gone')")).toMatch(/^0A000/)
  expect(await error("SELECT create_distributed_function('add_order(int, int, int[])', 'p_prices')")).toMatch(
    /^0A000/,
  )
  await weft.query("SELECT create_distributed_function('total_of(int)')")
  await both('SELECT total_of(1)')
})
