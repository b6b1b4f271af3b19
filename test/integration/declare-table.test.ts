import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { declareTable } from '../../coordinator/execute/declare/declare.ts'
import type { Declaration } from '../../sql/plan/plan.ts'
import { PgShardRunner } from '../helpers/pg-shard-runner.ts'
import { hasPostgres15 } from '../helpers/postgres.ts'
import { type ShardDatabases, startShardDatabases } from '../helpers/shard-databases.ts'

describe.each([18, 15] as const)('declare table on Postgres %i', (version) => {
  if (version === 15 && !hasPostgres15) return
  let dbs: ShardDatabases

  beforeAll(async () => {
    dbs = await startShardDatabases(3, { version })
    await dbs.on(0, 'CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE reader')
  })
  afterAll(async () => {
    await dbs.stop()
  })
  beforeEach(async () => {
    await dbs.onAll(`DROP SCHEMA public CASCADE; DROP SCHEMA IF EXISTS app CASCADE; CREATE SCHEMA public;
      GRANT ALL ON SCHEMA public TO alice, bob`)
    await dbs.on(0, 'SELECT weft.bump_map_version()')
  })

  const runnerAs = (role?: string, begin?: string) =>
    new PgShardRunner(role === undefined ? dbs.urls : dbs.as(role), begin === undefined ? {} : { begin })

  /** Declares in a transaction of its own, after `before` ran on home in the same one. */
  async function declare(
    declaration: Declaration,
    options: { role?: string; before?: string; begin?: string; mayWait?: boolean } = {},
  ) {
    const runner = runnerAs(options.role, options.begin)
    try {
      for (const sql of options.before?.split(';') ?? []) await runner.query(0, sql)
      const session = { searchPath: ['public'], mayWait: options.mayWait === true }
      const declared = await declareTable(declaration, runner, await dbs.catalog(), session)
      await runner.commit()
      return declared
    } catch (error) {
      await runner.rollback()
      throw error
    }
  }
  const sharded = (table: string, keyColumn: string, extra: object = {}): Declaration => ({
    kind: 'sharded',
    table,
    keyColumn,
    ...extra,
  })
  const counts = async (table: string) => {
    const all = await Promise.all(
      [0, 1, 2].map((s) => dbs.on<{ n: number }>(s, `SELECT count(*)::int AS n FROM ${table}`)),
    )
    return all.map((rows) => rows[0]!.n)
  }
  const message = async (work: Promise<unknown>) => {
    const error = await work.then(
      () => undefined,
      (e: Error & { code?: string }) => e,
    )
    return error && `${error.code} ${error.message}`
  }

  test('sharded: a table with rows: each row is on the shard that owns its slot, none lost', async () => {
    await dbs.on(
      0,
      `CREATE TABLE orders (id bigint PRIMARY KEY, note text, at timestamptz, f float8, b bytea,
        twice bigint GENERATED ALWAYS AS (id * 2) STORED);
       INSERT INTO orders SELECT i, E'line\\n\\ttab\\\\' || i,
         '2020-01-01'::timestamptz + i * interval '1.5 s', sqrt(i), decode('00ff', 'hex')
         FROM generate_series(1, 10000) i;
       CREATE TABLE same AS TABLE orders`,
    )
    await declare(sharded('orders', 'id'))
    const n = await counts('orders')
    expect(n.reduce((a, b) => a + b)).toBe(10000)
    expect(Math.min(...n)).toBeGreaterThan(3000)
    for (const shard of [0, 1, 2]) {
      const owned = `(SELECT shard FROM (VALUES (0, 0, 1364), (1, 1365, 2729), (2, 2730, 4095)) v(shard, a, b)
        WHERE (hashint8extended(id, 0) & 4095) BETWEEN a AND b)`
      expect(await dbs.on(shard, `SELECT DISTINCT ${owned} AS s FROM orders`)).toEqual([{ s: shard }])
    }
    const digest = (table: string) => `SELECT sum(hashtextextended(t::text, 0)) AS d FROM ${table} t`
    const whole = await dbs.on<{ d: string }>(0, digest('same'))
    const parts = await Promise.all([0, 1, 2].map((s) => dbs.on<{ d: string }>(s, digest('orders'))))
    expect(parts.reduce((sum, rows) => sum + BigInt(rows[0]!.d), 0n)).toBe(BigInt(whole[0]!.d))
    expect((await dbs.catalog()).resolve(undefined, 'orders', ['public'])).toMatchObject({
      kind: 'sharded',
      colocation: 1,
      key: { column: 'id', type: 'int8' },
    })
  })

  test('sharded: inside a transaction with uncommitted rows, then rolled back: nothing is left', async () => {
    const runner = runnerAs()
    await runner.query(0, 'CREATE TABLE fresh (id int, v text)')
    await runner.query(0, "INSERT INTO fresh SELECT i, 'v' FROM generate_series(1, 100) i")
    await declareTable(sharded('fresh', 'id'), runner, await dbs.catalog(), { searchPath: ['public'] })
    const { rows } = await runner.query(1, 'SELECT count(*) FROM fresh')
    expect(Number(rows[0]![0])).toBeGreaterThan(20)
    await runner.rollback()
    for (const shard of [0, 1, 2]) {
      expect(await dbs.on(shard, `SELECT to_regclass('fresh') AS t`)).toEqual([{ t: null }])
    }
  })

  test('sharded: everything that a table can have: the same on every shard', async () => {
    await dbs.onAll(`CREATE FUNCTION stamp()
      RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := 'stamped'; RETURN NEW; END $$;
      CREATE TYPE mood AS ENUM ('ok')`)
    await dbs.on(
      0,
      `CREATE SCHEMA app; CREATE TABLE app."Odd name" (
         dropped int, "Key" varchar(20) COLLATE "C", id serial,
           iden int GENERATED BY DEFAULT AS IDENTITY (START 10),
         note text DEFAULT 'x''y' NOT NULL, price numeric(10,2) CHECK (price > 0), m mood DEFAULT 'ok', tags text[],
         PRIMARY KEY ("Key", id), CONSTRAINT once UNIQUE ("Key", note) DEFERRABLE,
           EXCLUDE USING btree ("Key" WITH =, iden WITH =)
       ) WITH (fillfactor = 70, toast.autovacuum_enabled = false);
       ALTER TABLE app."Odd name" DROP COLUMN dropped;
       CREATE INDEX by_note ON app."Odd name" (lower(note)) WHERE price > 1;
       CREATE UNIQUE INDEX u ON app."Odd name" ("Key", price);
       CREATE STATISTICS app.st (dependencies) ON note, price FROM app."Odd name";
       ALTER TABLE app."Odd name" ALTER note SET STORAGE EXTERNAL, ALTER note SET STATISTICS 77,
         ALTER note SET (n_distinct = 5),
         REPLICA IDENTITY FULL, ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
       CREATE POLICY mine ON app."Odd name" AS RESTRICTIVE FOR SELECT TO reader, bob USING (note <> 'secret');
       CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON app."Odd name" FOR EACH ROW EXECUTE FUNCTION stamp();
       CREATE TRIGGER off AFTER DELETE ON app."Odd name" FOR EACH ROW EXECUTE FUNCTION stamp();
       ALTER TABLE app."Odd name" DISABLE TRIGGER off;
       GRANT SELECT, INSERT ON app."Odd name" TO reader WITH GRANT OPTION; GRANT UPDATE (note)
         ON app."Odd name" TO bob;
       GRANT USAGE ON SEQUENCE app."Odd name_id_seq" TO reader; GRANT USAGE ON SCHEMA app TO reader;
       COMMENT ON TABLE app."Odd name" IS 'it''s'; COMMENT ON COLUMN app."Odd name".note IS 'a note';
         COMMENT ON INDEX app.u IS 'unique';
       ALTER TABLE app."Odd name" OWNER TO alice`,
    )
    await declare(sharded('Odd name', 'Key', { schema: 'app' }))
    const shape = `SELECT json_build_array(
      (SELECT json_agg(json_build_array(attname, atttypid::regtype, atttypmod, attnotnull, attidentity,
        attstorage, attstattarget, attoptions, attacl::text,
         pg_get_expr(d.adbin, d.adrelid), col_description(attrelid, attnum)) ORDER BY attnum)
       FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = attrelid AND d.adnum = attnum
         WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
      (SELECT json_agg(json_build_array(conname, pg_get_constraintdef(oid)) ORDER BY conname)
        FROM pg_constraint WHERE conrelid = c.oid AND conname <> 'weft_owns_slot'),
      (SELECT json_agg(json_build_array(pg_get_indexdef(indexrelid), obj_description(indexrelid, 'pg_class'))
        ORDER BY 1) FROM (SELECT * FROM pg_index WHERE indrelid = c.oid ORDER BY indexrelid::regclass::text) i),
      (SELECT json_agg(json_build_array(pg_get_triggerdef(oid), tgenabled) ORDER BY tgname)
        FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal),
      (SELECT json_agg(json_build_array(polname, polpermissive, polcmd, pg_get_expr(polqual, polrelid)))
        FROM pg_policy WHERE polrelid = c.oid),
      (SELECT json_agg(pg_get_statisticsobjdef(oid)) FROM pg_statistic_ext WHERE stxrelid = c.oid),
      (SELECT json_agg(json_build_array(relname, relacl::text, relowner::regrole) ORDER BY relname)
        FROM pg_class WHERE relkind = 'S' AND relnamespace = c.relnamespace),
      c.reloptions, (SELECT reloptions FROM pg_class WHERE oid = c.reltoastrelid), c.relrowsecurity,
        c.relforcerowsecurity, c.relreplident, c.relowner::regrole, c.relacl::text,
      obj_description(c.oid, 'pg_class'), pg_get_serial_sequence('app."Odd name"', 'id'),
        (SELECT nspacl::text FROM pg_namespace WHERE nspname = 'app'))::text AS shape
      FROM pg_class c WHERE c.oid = 'app."Odd name"'::regclass`
    const [home, one, two] = await Promise.all([0, 1, 2].map((s) => dbs.on<{ shape: string }>(s, shape)))
    expect(JSON.parse(one![0]!.shape)).toEqual(JSON.parse(home![0]!.shape))
    expect(two).toEqual(one)
    await dbs.onAll('DROP SCHEMA app CASCADE')
  })

  test('sharded: triggers, forced row security and a cascade to itself: the move sets nothing off', async () => {
    await dbs.onAll(`CREATE TABLE log (what text); CREATE FUNCTION tell()
      RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (TG_OP); RETURN NULL; END $$;
      GRANT ALL ON log TO alice`)
    await dbs.on(
      0,
      `CREATE TABLE tree (tenant int, id int, parent int, PRIMARY KEY (tenant, id), FOREIGN KEY (tenant,
        parent) REFERENCES tree ON DELETE CASCADE);
       INSERT INTO tree SELECT i % 50, i, CASE WHEN i >= 50 THEN i - 50 END FROM generate_series(0, 999) i;
       CREATE TRIGGER t AFTER INSERT OR DELETE ON tree FOR EACH ROW EXECUTE FUNCTION tell();
       ALTER TABLE tree OWNER TO alice; ALTER TABLE tree ENABLE ROW LEVEL SECURITY;
         ALTER TABLE tree FORCE ROW LEVEL SECURITY;
       CREATE POLICY nobody ON tree USING (false)`,
    )
    await declare(sharded('tree', 'tenant'), { role: 'alice' })
    expect((await counts('tree')).reduce((a, b) => a + b)).toBe(1000)
    expect(await counts('log')).toEqual([0, 0, 0])
    for (const shard of [0, 1, 2]) {
      expect(await dbs.on(shard, `SELECT tgenabled FROM pg_trigger WHERE tgname = 't'`)).toEqual([
        { tgenabled: 'O' },
      ])
      expect(
        await dbs.on(shard, `SELECT relforcerowsecurity AS f FROM pg_class WHERE relname = 'tree'`),
      ).toEqual([{ f: true }])
      expect(await dbs.on(shard, `SELECT confdeltype AS d FROM pg_constraint WHERE contype = 'f'`)).toEqual([
        { d: 'c' },
      ])
    }
    await declare({ kind: 'undistribute', table: 'tree' }, { role: 'alice' })
    expect(await dbs.on(0, 'SELECT count(*)::int AS n FROM tree')).toEqual([{ n: 1000 }])
    expect(await dbs.on(0, 'SELECT count(*)::int AS n FROM log')).toEqual([{ n: 0 }])
    expect(await dbs.on(1, `SELECT to_regclass('tree') AS t`)).toEqual([{ t: null }])
  })

  test('reference: a table with rows: a full copy on every shard; undistribute: home only', async () => {
    await dbs.on(
      0,
      `CREATE TABLE countries (code char(2) PRIMARY KEY, name text); INSERT INTO countries VALUES ('de', 'x'),
        ('fr', NULL)`,
    )
    await declare({ kind: 'reference', table: 'countries' })
    expect(await counts('countries')).toEqual([2, 2, 2])
    await declare({ kind: 'undistribute', table: 'countries' })
    expect(await dbs.on(0, 'SELECT count(*)::int AS n FROM countries')).toEqual([{ n: 2 }])
    expect(await dbs.on(2, `SELECT to_regclass('countries') AS t`)).toEqual([{ t: null }])
    expect((await dbs.catalog()).resolve(undefined, 'countries', ['public'])!.kind).toBe('local')
  })

  test('foreign keys: to a reference table, to a colocated one: made on every shard', async () => {
    await dbs.on(
      0,
      `CREATE TABLE kinds (id int PRIMARY KEY); INSERT INTO kinds VALUES (1);
       CREATE TABLE customers (id bigint PRIMARY KEY, kind int REFERENCES kinds);
       INSERT INTO customers SELECT i, 1 FROM generate_series(1, 300) i`,
    )
    expect(await message(declare(sharded('customers', 'id')))).toBe(
      '0A000 foreign key "customers_kind_fkey" from sharded table public.customers to local table public.kinds ' +
        'cannot be checked: a shard does not have all rows of public.kinds',
    )
    await declare({ kind: 'reference', table: 'kinds' })
    await declare(sharded('customers', 'id'))
    await declare(sharded('orders', 'customer', { colocateWith: 'customers' }), {
      before: 'CREATE TABLE orders (customer int REFERENCES customers, id int)',
    })
    const keys = `SELECT count(*)::int AS n FROM pg_constraint WHERE contype = 'f' AND convalidated`
    for (const shard of [0, 1, 2]) expect(await dbs.on(shard, keys)).toEqual([{ n: 2 }])
    expect(await message(declare({ kind: 'undistribute', table: 'customers' }))).toContain(
      '0A000 foreign key',
    )
    expect(await message(declare({ kind: 'undistribute', table: 'kinds' }))).toContain('0A000 foreign key')
    await declare({ kind: 'undistribute', table: 'orders' }).catch((e) =>
      expect(e.message).toContain('foreign key'),
    )
  })

  const mayWait = { mayWait: true }
  const foreignKeysOn = (shard: number) =>
    dbs.on(
      shard,
      `SELECT conrelid::regclass::text AS t, obj_description(oid, 'pg_constraint') AS d FROM pg_constraint
       WHERE contype = 'f' AND convalidated ORDER BY conname`,
    )
  const waiting = () => dbs.on(0, 'SELECT relid::regclass::text AS t FROM weft.waiting ORDER BY 1')

  test('foreign keys: whichever is declared first waits for its partner; both are checked on every shard', async () => {
    await dbs.on(
      0,
      `CREATE TABLE authors (id int PRIMARY KEY);
       CREATE TABLE books (author int REFERENCES authors ON DELETE CASCADE DEFERRABLE, id int, PRIMARY KEY (author, id));
       COMMENT ON CONSTRAINT books_author_fkey ON books IS 'kept';
       INSERT INTO authors SELECT generate_series(1, 100); INSERT INTO books SELECT g, g FROM generate_series(1, 100) g`,
    )
    for (const [first, second] of [
      ['books', 'authors'],
      ['authors', 'books'],
    ] as const) {
      const key = { books: 'author', authors: 'id' }
      expect(await declare(sharded(first, key[first]), mayWait)).toEqual({ waitsFor: `public.${second}` })
      expect(await waiting()).toEqual([{ t: first }])
      await expect(dbs.on(0, 'INSERT INTO books VALUES (0, 0)')).rejects.toThrow('violates foreign key')
      await dbs.on(0, 'INSERT INTO authors VALUES (101); INSERT INTO books VALUES (101, 1)')
      expect(await declare(sharded(second, key[second]), mayWait)).toEqual({})
      expect(await waiting()).toEqual([])
      for (const shard of [0, 1, 2]) expect(await foreignKeysOn(shard)).toEqual([{ t: 'books', d: 'kept' }])
      for (const table of ['books', 'authors']) {
        expect((await counts(table)).reduce((a, b) => a + b)).toBe(101)
        expect(Math.min(...(await counts(table)))).toBeGreaterThan(10)
      }
      await dbs.onAll('ALTER TABLE books DROP CONSTRAINT books_author_fkey')
      for (const table of ['books', 'authors']) await declare({ kind: 'undistribute', table })
      await dbs.on(
        0,
        `DELETE FROM books WHERE author = 101; DELETE FROM authors WHERE id = 101;
         ALTER TABLE books ADD FOREIGN KEY (author) REFERENCES authors ON DELETE CASCADE DEFERRABLE;
         COMMENT ON CONSTRAINT books_author_fkey ON books IS 'kept'`,
      )
    }
  })

  test('foreign keys: a chain waits as a whole, each told the table that is missing; the last one carries all out', async () => {
    await dbs.on(
      0,
      `CREATE TABLE kinds (id int PRIMARY KEY); CREATE TABLE tenants (id int PRIMARY KEY, kind int REFERENCES kinds);
       CREATE TABLE users (tenant int REFERENCES tenants, id int, PRIMARY KEY (tenant, id));
       CREATE TABLE posts (tenant int, "user" int, up int, id int, PRIMARY KEY (tenant, id),
         FOREIGN KEY (tenant, "user") REFERENCES users, FOREIGN KEY (tenant, up) REFERENCES posts);
       INSERT INTO kinds VALUES (1); INSERT INTO tenants SELECT g, 1 FROM generate_series(1, 30) g;
       INSERT INTO users SELECT g, 1 FROM generate_series(1, 30) g;
       INSERT INTO posts SELECT g, 1, 1, 1 FROM generate_series(1, 30) g`,
    )
    expect(await declare(sharded('posts', 'tenant'), mayWait)).toEqual({ waitsFor: 'public.users' })
    expect(await declare(sharded('tenants', 'id', { colocateWith: 'none' }), mayWait)).toEqual({
      waitsFor: 'public.kinds',
    })
    const third = sharded('users', 'tenant', { colocateWith: 'tenants' })
    // Not the group of posts, which wait too.
    expect(await message(declare(third, mayWait))).toContain(
      'would cross shards: the tables are not colocated',
    )
    const again = sharded('posts', 'tenant', { colocateWith: 'tenants' })
    expect(await declare(again, mayWait)).toEqual({ waitsFor: 'public.users' })
    expect(await declare(third, mayWait)).toEqual({ waitsFor: 'public.kinds' })
    expect(await waiting()).toEqual([{ t: 'posts' }, { t: 'tenants' }, { t: 'users' }])
    expect(await declare({ kind: 'reference', table: 'kinds' }, mayWait)).toEqual({})
    expect(await waiting()).toEqual([])
    for (const shard of [0, 1, 2]) expect(await foreignKeysOn(shard)).toHaveLength(4)
    const { distributed } = await dbs.catalog()
    const groups = distributed.flatMap((r) => r.colocation ?? [])
    expect([distributed.length, new Set(groups).size, groups[0]! >= 100]).toEqual([4, 1, true])
  })

  test('foreign keys: a reference table first; a declaration that waits is taken back; a dropped partner sets it free', async () => {
    await dbs.on(0, 'CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY REFERENCES a)')
    expect(await declare({ kind: 'reference', table: 'b' }, mayWait)).toEqual({ waitsFor: 'public.a' })
    expect(await message(declare(sharded('a', 'id'), mayWait))).toContain(
      '0A000 foreign key "b_id_fkey" from reference table public.b to sharded table public.a cannot be checked',
    )
    await declare({ kind: 'undistribute', table: 'b' })
    expect(await waiting()).toEqual([])
    expect(await message(declare({ kind: 'undistribute', table: 'b' }))).toContain('55000')
    expect(await declare(sharded('b', 'id'), mayWait)).toEqual({ waitsFor: 'public.a' })
    await dbs.on(0, 'DROP TABLE a CASCADE')
    expect(await declare(sharded('b', 'id'), mayWait)).toEqual({})
  })

  test('views: over distributed tables only: made on every shard, and dropped with the table', async () => {
    await dbs.on(
      0,
      `CREATE TABLE a (id int); CREATE TABLE local (id int); CREATE VIEW va AS SELECT id + 1 AS x FROM a;
       CREATE VIEW vva WITH (security_barrier) AS SELECT x FROM va; CREATE VIEW mixed AS SELECT a.id FROM a, local;
       GRANT SELECT ON va TO reader`,
    )
    await declare(sharded('a', 'id'))
    expect(
      await dbs.on(
        1,
        `SELECT relname, relacl::text LIKE '%reader=r%' AS granted FROM pg_class
          WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace ORDER BY 1`,
      ),
    ).toEqual([
      { relname: 'va', granted: true },
      { relname: 'vva', granted: null },
    ])
    await declare({ kind: 'undistribute', table: 'a' })
    expect(await dbs.on(1, `SELECT to_regclass('vva') AS v, to_regclass('a') AS t`)).toEqual([
      { v: null, t: null },
    ])
    expect(await dbs.on(0, `SELECT count(*)::int AS n FROM mixed`)).toEqual([{ n: 0 }])
  })

  test('settings: the session keeps its own after a declaration', async () => {
    const runner = runnerAs()
    await runner.query(0, 'CREATE TABLE s (id int)')
    await runner.query(0, "SET LOCAL search_path = 'app', 'public'")
    await runner.query(0, "SET LOCAL datestyle = 'German'")
    await declareTable(sharded('s', 'id'), runner, await dbs.catalog(), { searchPath: ['public'] })
    const { rows } = await runner.query(
      0,
      `SELECT current_setting('search_path'), current_setting('datestyle')`,
    )
    expect(rows).toEqual([["'app', 'public'", 'German, DMY']].map(([a, b]) => [a!.replaceAll("'", ''), b]))
    await runner.rollback()
  })

  test('ownership: a table of somebody else: 42501, and it was never locked', async () => {
    await dbs.on(0, 'CREATE TABLE hers (id int); ALTER TABLE hers OWNER TO alice')
    expect(await message(declare(sharded('hers', 'id'), { role: 'bob' }))).toBe(
      '42501 must be owner of table hers',
    )
    await declare(sharded('hers', 'id'), { role: 'alice' })
    expect(
      await dbs.on(1, `SELECT relowner::regrole::text AS o FROM pg_class WHERE relname = 'hers'`),
    ).toEqual([{ o: 'alice' }])
  })

  test('colocation: default group, none, a table, a table with another type', async () => {
    await dbs.on(
      0,
      `CREATE TABLE a (id int); CREATE TABLE b (id bigint); CREATE TABLE c (id text); CREATE TABLE d (id int);
        CREATE TABLE e (id int)`,
    )
    await declare(sharded('a', 'id', { colocateWith: 'none' }))
    await declare(sharded('b', 'id'))
    await declare(sharded('d', 'id', { colocateWith: 'public.a' }))
    expect(await message(declare(sharded('c', 'id', { colocateWith: 'b' })))).toContain(
      '0A000 column "id" (text) cannot be colocated with b, whose shard key is int8',
    )
    expect(await message(declare(sharded('c', 'id', { colocateWith: 'e' })))).toContain('42809')
    const groups = `SELECT string_agg(table_name || colocation, ' ' ORDER BY table_name) AS g FROM weft.tables`
    expect(await dbs.on(0, groups)).toEqual([{ g: 'a100 b1 d100' }])
  })

  test('declared twice: 42P07, nothing with ifNotExists', async () => {
    await dbs.on(0, 'CREATE TABLE a (id int)')
    await declare(sharded('a', 'id'))
    expect(await message(declare(sharded('a', 'id')))).toBe('42P07 table "a" is already distributed')
    await declare(sharded('a', 'id', { ifNotExists: true }))
    expect(await message(declare({ kind: 'undistribute', table: 'nothing' }))).toBe(
      '42P01 relation "nothing" does not exist',
    )
  })

  test('another shard has a table of that name: 42P07 names the shard', async () => {
    await dbs.on(0, 'CREATE TABLE a (id int)')
    await dbs.on(2, 'CREATE TABLE a (other int)')
    expect(await message(declare(sharded('a', 'id')))).toBe('42P07 relation "a" already exists on shard 2')
  })

  test('a type that is not on the other shards: made there, with those that it is made of', async () => {
    await dbs.on(
      0,
      `CREATE TYPE mood AS ENUM ('it''s', 'ok'); CREATE DOMAIN small AS int CHECK (VALUE < 9);
       CREATE TYPE pair AS (x small, m mood[]); CREATE TYPE span AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi);
       CREATE TABLE b (id int, p pair[], s span); INSERT INTO b VALUES (1, ARRAY[(3, ARRAY['ok'])::pair], '[1,2)')`,
    )
    await declare(sharded('b', 'id'))
    for (const shard of [1, 2]) {
      await dbs.on(shard, `SELECT (4, ARRAY['it''s'])::pair, '[1,2)'::span`)
      expect(await message(dbs.on(shard, 'SELECT 9::small'))).toContain('23514')
    }
  })

  test('a NULL key: 23502; a type that only home can have: the error of Postgres and where', async () => {
    await dbs.on(0, 'CREATE TABLE a (id int); INSERT INTO a VALUES (1), (NULL)')
    expect(await message(declare(sharded('a', 'id')))).toContain('23502 null value in column "id"')
    await dbs.on(0, 'CREATE TYPE pair AS (x a); CREATE TABLE b (id int, p pair)')
    const error = await declare(sharded('b', 'id')).catch((e) => e)
    expect(error.fields).toMatchObject({
      code: '42704',
      where: expect.stringContaining('on shard 1: CREATE TABLE'),
    })
  })

  test('a snapshot from before: refused with rows, fine without', async () => {
    await dbs.on(0, 'CREATE TABLE a (id int); CREATE TABLE b (id int); INSERT INTO b VALUES (1)')
    const begin = 'BEGIN ISOLATION LEVEL REPEATABLE READ'
    await declare(sharded('a', 'id'), { begin })
    expect(await message(declare(sharded('b', 'id'), { begin }))).toContain('0A000 a table with rows')
  })

  const refused: readonly (readonly [what: string, ddl: string, message: string])[] = [
    ['no such column', 'CREATE TABLE t (x int)', '42703 column "id" of relation "t" does not exist'],
    [
      'interval key',
      'CREATE TABLE t (id interval)',
      '0A000 column "id" of type interval cannot be a shard key',
    ],
    ['jsonb key', 'CREATE TABLE t (id jsonb)', '0A000 column "id" of type jsonb cannot be a shard key'],
    [
      'generated key',
      'CREATE TABLE t (x int, id int GENERATED ALWAYS AS (x) STORED)',
      '0A000 generated column',
    ],
    [
      'unique without the key',
      'CREATE TABLE t (id int, x int PRIMARY KEY)',
      '0A000 unique constraint or index "t_pkey"',
    ],
    [
      'exclusion that overlaps',
      'CREATE TABLE t (id int, r int4range, EXCLUDE USING gist (r WITH &&))',
      '0A000 unique constraint or index "t_r_excl"',
    ],
    [
      'rules',
      'CREATE TABLE t (id int); CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING',
      '0A000 table "t" has rules',
    ],
    [
      'partition',
      'CREATE TABLE w (id int) PARTITION BY RANGE (id); CREATE TABLE t PARTITION OF w DEFAULT',
      '0A000 table "t" is a partition of public.w',
    ],
    [
      'unique constraint of a partition',
      'CREATE TABLE t (id int, n int) PARTITION BY RANGE (n); CREATE TABLE t1 PARTITION OF t (UNIQUE (n)) DEFAULT',
      '0A000 unique constraint or index "t1_n_key"',
    ],
    [
      'partitioned, with a foreign key to itself',
      'CREATE TABLE t (id int PRIMARY KEY, up int REFERENCES t) PARTITION BY RANGE (id); CREATE TABLE t1 PARTITION OF t DEFAULT',
      '0A000',
    ],
    [
      'inherited',
      'CREATE TABLE u (id int); CREATE TABLE t () INHERITS (u)',
      '0A000 table "t" inherits from public.u',
    ],
    ['unlogged', 'CREATE UNLOGGED TABLE t (id int)', '0A000 unlogged table "t"'],
    ['view', 'CREATE VIEW t AS SELECT 1 AS id', '42809 "t" is not an ordinary table'],
    [
      'local child',
      'CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE c (id int REFERENCES t)',
      '0A000 foreign key "c_id_fkey" from local table public.c',
    ],
    [
      'self reference without the key',
      'CREATE TABLE t (id int PRIMARY KEY, up int REFERENCES t)',
      '0A000 foreign key "t_up_fkey"',
    ],
    [
      'action that sets the key',
      `CREATE TABLE t (id int, n int, up int, PRIMARY KEY (id, n),
         FOREIGN KEY (id, up) REFERENCES t ON DELETE SET NULL)`,
      '0A000 foreign key "t_id_up_fkey" of public.t would change the shard key',
    ],
    [
      'nondeterministic collation',
      `CREATE COLLATION nd (provider = icu, locale = 'und', deterministic = false);
        CREATE TABLE t (id text COLLATE nd)`,
      '0A000 column "id" has a nondeterministic collation',
    ],
  ]
  test.each(refused)('refused: %s', async (_what, ddl, expected) => {
    await dbs.on(
      0,
      `CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; ${ddl}`,
    )
    expect(await message(declare(sharded('t', 'id')))).toContain(expected)
    expect(await dbs.on(1, `SELECT to_regclass('t') AS t`)).toEqual([{ t: null }])
  })
})
