import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createLogger } from '../../admin/logger.ts'
import { type DevCluster, startDevCluster } from '../../embedded/dev-cluster.ts'
import { hasPostgres15, query, startPostgres, systemBin, type TestPostgres } from '../helpers/postgres.ts'

const run = promisify(execFile)

/** pg_dump wants servers that are no newer than itself: those of the installed one. */
describe.runIf(hasPostgres15)('dump and restore', () => {
  let servers: TestPostgres[] = []
  let weft: DevCluster
  let url = ''
  let dir = ''

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'weft-dump-'))
    const settings = { max_prepared_transactions: '20', fsync: 'off' }
    servers = await Promise.all([0, 1].map(() => startPostgres({ version: 15, settings })))
    weft = await startDevCluster({
      servers: servers.map((server) => server.url),
      port: 0,
      adminPort: 0,
      dataDir: join(dir, 'data'),
      logger: createLogger({ level: 'warn' }),
    })
    url = `postgres://postgres@${weft.host}:${weft.port}/postgres`
    for (const sql of SCHEMA) await query(url, sql)
  }, 300_000)
  afterAll(async () => {
    await weft?.stop()
    await Promise.all(servers.map((server) => server.stop()))
    await rm(dir, { recursive: true, force: true })
  })

  const tool = (name: string, ...args: string[]) =>
    run(join(systemBin, name), args, { env: { ...process.env, PGAPPNAME: 'any' }, maxBuffer: 1 << 26 })
  const tables = () => query(url, 'SELECT * FROM weft.tables ORDER BY schema_name, table_name')
  const contents = async () => {
    const found: Record<string, unknown> = {}
    for (const { t } of await query<{ t: string }>(url, NAMES)) {
      const rows = await query(url, `SELECT * FROM ${t}`)
      found[t] = rows.map((row) => JSON.stringify(row)).sort()
    }
    return found
  }
  const empty = async () => {
    await query(url, 'DROP SCHEMA app CASCADE')
    await query(url, 'DROP SCHEMA public CASCADE')
    await query(url, 'CREATE SCHEMA public')
    expect(await tables()).toEqual([])
  }

  test.each(['plain', 'custom'])('%s: a restore gives the same cluster back', async (format) => {
    const before = { tables: await tables(), contents: await contents() }
    const file = join(dir, `dump.${format}`)
    await tool('pg_dump', `--format=${format}`, `--file=${file}`, url)
    await empty()
    if (format === 'plain') await tool('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', file, url)
    else await tool('pg_restore', '--exit-on-error', `--dbname=${url}`, file)
    // Groups of their own have other numbers now.
    const grouped = (rows: readonly Record<string, unknown>[]) =>
      rows.map((row) => ({ ...row, colocation: rows.findIndex((r) => r.colocation === row.colocation) }))
    expect(grouped(await tables())).toEqual(grouped(before.tables))
    expect(await contents()).toEqual(before.contents)
    await expect(query(url, 'INSERT INTO app.books VALUES (99, 1)')).rejects.toThrow('violates foreign key')
    const [{ id }] = (await query<{ id: string }>(
      url,
      `INSERT INTO events (tenant, v) VALUES ('z', 'next') RETURNING id`,
    )) as [{ id: string }]
    expect(id).toBe('21')
    await query(url, 'DELETE FROM events WHERE id = 21')
    await restoresTheRest()
    await query(url, `SELECT setval('events_id_seq', 20)`)
  })

  /** On every shard; that numbers go on is the cluster's. */
  async function restoresTheRest(): Promise<void> {
    for (const server of servers) {
      expect(await query(server.url, REST)).toEqual([
        {
          granted: true,
          column: true,
          option: true,
          policies: '1',
          triggers: '1',
          partitions: '4',
          attached: '2',
        },
      ])
    }
    expect(await query(url, 'SELECT tableoid::regclass::text, v FROM parted ORDER BY v')).toEqual([
      { tableoid: 'parted_old', v: 1 },
      { tableoid: 'parted_new', v: 2 },
    ])
    expect(await query(url, 'INSERT INTO numbered (tenant) VALUES (99) RETURNING id, n')).toEqual([
      { id: 11, n: 15 },
    ])
    await query(url, 'DELETE FROM numbered WHERE tenant = 99')
    for (const column of ['id', 'n']) {
      const last = column === 'id' ? 10 : 14
      await query(url, `SELECT setval(pg_get_serial_sequence('numbered', '${column}'), ${last})`)
    }
  }

  test('in parallel: refused, as it would need an exported snapshot', async () => {
    const dump = tool('pg_dump', '--format=directory', '--jobs=2', `--file=${join(dir, 'parallel')}`, url)
    await expect(dump).rejects.toThrow('pg_export_snapshot')
  })

  test('what is in a dump: how the tables are spread, nothing of schema weft', async () => {
    const { stdout } = await tool('pg_dump', '--schema-only', url)
    expect(stdout).not.toMatch(/\bweft\./)
    expect(stdout).not.toMatch(/SCHEMA (pg_)?weft/)
    const options = [...stdout.matchAll(/^CREATE TABLE (\S+) \([^;]*\)\nWITH \((.*)\);$/gm)]
    expect(options.map(([, table, text]) => `${table}: ${text}`)).toEqual([
      "app.log: shard_key=tenant, colocate_with='none'",
      "app.a_log: shard_key=tenant, colocate_with='app.log'",
      "app.a_log_0: shard_key=tenant, colocate_with='app.log'",
      "app.authors: shard_key=id, colocate_with='none'",
      "app.books: shard_key=author, colocate_with='app.authors'",
      "app.log_rest: shard_key=tenant, colocate_with='app.log'",
      `public."Odd": fillfactor='70', shard_key='Key'`,
      'public.events: shard_key=tenant',
      "public.kinds: reference='true'",
      'public.numbered: shard_key=tenant',
      "public.rates: reference='true'",
      "public.rates_24: reference='true'",
      "public.special_kinds: reference='true'",
    ])
  })
})

const REST = `SELECT has_table_privilege('reader', 'numbered', 'SELECT') AS granted,
  has_column_privilege('reader', 'numbered', 'n', 'UPDATE') AS column,
  has_table_privilege('reader', 'kinds', 'DELETE WITH GRANT OPTION') AS option,
  (SELECT count(*) FROM pg_policy WHERE polrelid = 'numbered'::regclass) AS policies,
  (SELECT count(*) FROM pg_trigger WHERE tgrelid = 'numbered'::regclass AND NOT tgisinternal) AS triggers,
  (SELECT count(*) FROM pg_partition_tree('app.log')) AS partitions,
  (SELECT count(*) FROM pg_inherits WHERE inhparent = 'app.log_v'::regclass) AS attached`

const NAMES = `SELECT format('%I.%I', n.nspname, c.relname) AS t
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname IN ('app', 'public') AND c.relkind IN ('r', 'p', 'm') ORDER BY 1`

const SCHEMA = [
  'CREATE SCHEMA app',
  'CREATE TABLE kinds (id int PRIMARY KEY, name text) WITH (reference = true)',
  `INSERT INTO kinds VALUES (1, 'it''s'), (2, NULL)`,
  `CREATE TABLE app.authors (id int PRIMARY KEY, kind int REFERENCES kinds) WITH (shard_key = 'id', colocate_with = 'none')`,
  'INSERT INTO app.authors SELECT g, g % 2 + 1 FROM generate_series(1, 30) g',
  `CREATE TABLE app.books (author int, id int, PRIMARY KEY (author, id), FOREIGN KEY (author) REFERENCES app.authors (id))
   WITH (shard_key = 'author', colocate_with = 'app.authors')`,
  'INSERT INTO app.books SELECT g, g FROM generate_series(1, 30) g',
  `CREATE TABLE "Odd" ("Key" text, n numeric) WITH (fillfactor = 70, shard_key = 'Key')`,
  `INSERT INTO "Odd" SELECT 'k' || g, g / 3.0 FROM generate_series(1, 20) g`,
  `CREATE TABLE events (tenant text, id bigserial, v text DEFAULT 'v', PRIMARY KEY (tenant, id)) WITH (shard_key = 'tenant')`,
  `INSERT INTO events (tenant) SELECT 't' || g FROM generate_series(1, 20) g`,
  'CREATE TABLE settings (name text PRIMARY KEY, value text)',
  `INSERT INTO settings VALUES ('a', 'b')`,
  'CREATE VIEW many AS SELECT * FROM app.books',
  `CREATE MATERIALIZED VIEW app.sums AS SELECT kind, count(*), sum(b.id)
   FROM app.authors a JOIN many b ON b.author = a.id GROUP BY 1`,
  'CREATE UNIQUE INDEX ON app.sums (kind)',
  // What is not of the plainest: identities, partitions, privileges, policies, triggers.
  `CREATE TABLE numbered (tenant int, id int GENERATED ALWAYS AS IDENTITY, n int GENERATED BY DEFAULT AS IDENTITY (START 5),
   PRIMARY KEY (tenant, id)) WITH (shard_key = 'tenant')`,
  'INSERT INTO numbered (tenant) SELECT g FROM generate_series(1, 10) g',
  'CREATE TYPE shape AS (id int, name text)',
  `CREATE TABLE shapes OF shape (PRIMARY KEY (id)) WITH (shard_key = 'id')`,
  `INSERT INTO shapes SELECT g, 's' || g FROM generate_series(1, 10) g`,
  'CREATE TABLE rates (day date, rate numeric) PARTITION BY RANGE (day) WITH (reference)',
  `CREATE TABLE rates_24 PARTITION OF rates FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')`,
  `INSERT INTO rates VALUES ('2024-02-02', 1.5)`,
  'CREATE TABLE special_kinds (extra text) INHERITS (kinds)',
  `INSERT INTO special_kinds VALUES (7, 'seven', 'x')`,
  'CREATE TABLE parted (at date, v int) PARTITION BY RANGE (at)',
  `CREATE TABLE parted_old PARTITION OF parted FOR VALUES FROM ('2000-01-01') TO ('2020-01-01')`,
  'CREATE TABLE parted_new PARTITION OF parted DEFAULT',
  'CREATE INDEX ON parted (v)',
  `INSERT INTO parted VALUES ('2010-01-01', 1), ('2030-01-01', 2)`,
  `CREATE TABLE app.log (tenant int, at date, id int GENERATED ALWAYS AS IDENTITY, v text, PRIMARY KEY (tenant, at, id))
   PARTITION BY RANGE (at) WITH (shard_key = 'tenant', colocate_with = 'none')`,
  `CREATE TABLE app.a_log PARTITION OF app.log FOR VALUES FROM ('2000-01-01') TO ('2020-01-01') PARTITION BY HASH (tenant)`,
  'CREATE TABLE app.a_log_0 PARTITION OF app.a_log FOR VALUES WITH (MODULUS 1, REMAINDER 0)',
  'CREATE TABLE app.log_rest PARTITION OF app.log DEFAULT',
  'CREATE INDEX log_v ON app.log (v)',
  `INSERT INTO app.log (tenant, at, v) SELECT g, '2000-01-01'::date + 700 * g, 'v' || g FROM generate_series(1, 40) g`,
  'CREATE ROLE reader',
  'GRANT USAGE ON SCHEMA app TO reader',
  'GRANT SELECT, UPDATE (n) ON numbered TO reader',
  'GRANT ALL ON kinds TO reader WITH GRANT OPTION',
  'ALTER TABLE numbered ENABLE ROW LEVEL SECURITY',
  'CREATE POLICY own ON numbered TO reader USING (tenant = 5)',
  `CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.n := coalesce(NEW.n, 0); RETURN NEW; END $$`,
  'CREATE TRIGGER touched BEFORE UPDATE ON numbered FOR EACH ROW EXECUTE FUNCTION app.touch()',
]
