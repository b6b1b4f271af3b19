import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { query } from '../helpers/postgres.ts'

const hasPsql = (process.env.PATH ?? '').split(delimiter).some((dir) => existsSync(join(dir, 'psql')))

const cluster = useTestCluster()
let dir = ''

interface Said {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** psql with its own settings file off, fed a script on standard input. */
function psql(url: string, script: string, args: readonly string[] = []): Promise<Said> {
  return new Promise((done) => {
    const child = execFile(
      'psql',
      ['-X', ...args, url],
      { cwd: dir, env: { ...process.env, PGCLIENTENCODING: 'UTF8', LC_ALL: 'C.UTF-8', PGAPPNAME: 'psql' } },
      (error, stdout, stderr) =>
        done({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    )
    child.stdin?.end(script)
  })
}

async function same(script: string, args: readonly string[] = []): Promise<Said> {
  const plain = await psql(cluster.current.plainUrl, script, args)
  const weft = await psql(cluster.current.weftUrl, script, args)
  const port = /port "?\d+"?/g
  const clean = (said: Said): Said => ({
    ...said,
    stdout: sizesAside(said.stdout.replace(port, '')),
    stderr: said.stderr.replace(port, ''),
  })
  expect(clean(weft)).toEqual(clean(plain))
  return weft
}

/** A table's on three shards is more than on one. */
function sizesAside(text: string): string {
  if (!/\d (?:bytes|[kM]B)/.test(text)) return text
  return text
    .replace(/\d+ (?:bytes|[kM]B)/g, 'SIZE')
    .replace(/ +/g, ' ')
    .replace(/-+/g, '-')
}

const schema = `
  CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, created timestamptz DEFAULT now());
  CREATE INDEX customers_name ON customers (name);
  COMMENT ON TABLE customers IS 'who buys';
  CREATE TABLE orders (customer_id bigint NOT NULL, id bigint, total numeric(10,2) CHECK (total >= 0),
    PRIMARY KEY (customer_id, id));
  CREATE TABLE countries (code char(2) PRIMARY KEY, name text);
  CREATE TABLE notes (id serial PRIMARY KEY, body text, tags text[]);
  CREATE VIEW note_bodies AS SELECT body FROM notes;
  CREATE MATERIALIZED VIEW note_count AS SELECT count(*) FROM notes;
  CREATE SEQUENCE numbers;
  CREATE TYPE mood AS ENUM ('sad', 'ok');
  CREATE DOMAIN positive AS int CHECK (VALUE > 0);
  CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
  CREATE PROCEDURE nothing() LANGUAGE plpgsql AS 'BEGIN END';
  CREATE SCHEMA annex;
  CREATE TABLE annex.thing (x int);
  CREATE ROLE reader LOGIN;
  GRANT SELECT ON customers TO reader;
`
/** Weft's schema is there on its side only. */
const commands = [
  ...['\\d customers', '\\d+ customers', '\\d orders', '\\d countries', '\\d+ notes', '\\d numbers'],
  ...['\\d note_bodies', '\\d+ note_bodies', '\\d customers_name', '\\d annex.*', '\\d no_such_table'],
  ...['\\dt', '\\dt+ notes', '\\dt annex.*', '\\di', '\\di+ customers_name', '\\ds', '\\dv', '\\dm', '\\dE'],
  ...['\\df', '\\df+ twice', '\\dfp', '\\da count', '\\dn public', '\\dn+ annex', '\\du reader', '\\du+'],
  ...['\\dT', '\\dT+ mood', '\\dD', '\\dp customers', '\\z customers', '\\l postgres', '\\db', '\\dx'],
  ...['\\dC date', '\\do ||', '\\dd', '\\ddp', '\\det', '\\dF english', '\\dL', '\\dO', '\\dRp', '\\dy'],
  ...['\\sf twice', '\\sv note_bodies', '\\encoding', '\\password_is_no_command', '\\dconfig work_mem'],
]

describe.skipIf(!hasPsql)('psql', () => {
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'weft-psql-'))
    for (const url of [cluster.current.plainUrl, cluster.current.weftUrl]) await query(url, schema)
    await query(cluster.current.weftUrl, "SELECT create_distributed_table('customers', 'id')")
    await query(
      cluster.current.weftUrl,
      "SELECT create_distributed_table('orders', 'customer_id', colocate_with => 'customers')",
    )
    await query(cluster.current.weftUrl, "SELECT create_reference_table('countries')")
  })
  afterAll(() => rm(dir, { recursive: true, force: true }))

  test.each(commands)('%s', async (command) => {
    await same(command)
  })

  test('describing: tables are described as on Postgres, and the answer is not empty', async () => {
    expect((await same('\\d+ orders')).stdout).toContain('orders_pkey')
    expect((await same('\\dt+')).stdout).toContain('customers')
  })

  test('\\copy: in and out, csv and text', async () => {
    await writeFile(
      join(dir, 'in.csv'),
      'id,name,created\n1,Ada,2020-01-01\n2,"Bob, B.",2020-01-02\n3,Cy,2020-01-03\n',
    )
    const said = await same(`\\copy customers from 'in.csv' csv header
      \\copy (select name from customers where id = 2) to stdout
      \\copy orders (customer_id, id, total) from stdin
1\t1\t9.50
2\t1\t1.25
3\t1\t\\N
\\.
      select sum(total), count(*) from orders;
      \\copy countries from program 'printf "de\\tGermany\\nfr\\tFrance\\n"'
      \\copy countries to 'out.txt'
      \\! sort out.txt
      \\copy orders from stdin
x\t1\t1
\\.
      \\copy no_such from 'in.csv'
`)
    expect(said.stdout).toContain('COPY 3')
    expect(said.stdout).toContain('Germany')
  })

  test('\\gset, \\gexec, \\gdesc, \\gx, \\g, \\bind-free variables and conditions', async () => {
    await same(`select 40 + 2 as answer, 'x' as letter \\gset my_
      \\echo :my_answer :'my_letter'
      select 'select ' || n from generate_series(1, 3) n \\gexec
      select 1::int as a, 'x'::text as b, now() as c \\gdesc
      select 1 as one, 2 as two \\gx
      select name from customers where id = :my_answer \\g
      \\if :my_answer
      \\echo yes
      \\endif
      \\set id 1
      select name from customers where id = :id;
      prepare p as select name from customers where id = $1;
      execute p(2);
      \\echo :ROW_COUNT :SQLSTATE :ERROR :LAST_ERROR_MESSAGE
      select 1/0;
      \\echo :ERROR :SQLSTATE :LAST_ERROR_SQLSTATE :LAST_ERROR_MESSAGE
      \\errverbose_is_no_command
    `)
  })

  test('errors: places marked, exit codes, ON_ERROR_STOP, ON_ERROR_ROLLBACK, single transaction', async () => {
    await same('select 1;\nselect nope from customers where id = 1;\nselect 2;')
    expect((await same('select nope;\nselect 2;', ['-v', 'ON_ERROR_STOP=1'])).code).toBe(3)
    await same("begin;\ninsert into customers values (1, 'dup');\nselect 'goes on';\ncommit;", [
      '-v',
      'ON_ERROR_ROLLBACK=on',
    ])
    await same("insert into customers values (10, 'ten');\nselect 1/0;", ['-1', '-v', 'ON_ERROR_STOP=1'])
    await same('select count(*) from customers;')
    await same('', ['-c', 'select 1; select 2', '-c', 'select 3'])
    await same('', ['-c', "insert into customers values (11, 'eleven'); select 1/0"])
    await same('select count(*) from customers where id = 11;')
    await same('\\set VERBOSITY verbose\nselect 1;\n\\set VERBOSITY sqlstate\nselect 1/0;')
  })

  test('transactions: prompt, status, savepoints', async () => {
    await same(`\\set PROMPT1 '%x> '
      begin;
      insert into customers values (20, 'twenty'), (21, 'twenty-one');
      savepoint s;
      insert into customers values (20, 'dup');
      rollback to s;
      select count(*) from customers where id in (20, 21);
      rollback;
      commit;
    `)
  })

  test('formats: unaligned, html, expanded, null, pager-free', async () => {
    await same("select 1 as a, null as b, 'ä' as c", ['-A', '-t'])
    await same('select 1 as a, null as b;', ['-H'])
    await same('\\pset null (nil)\n\\x\nselect null as n, 1 as one;')
    await same("select repeat('x', 200) as wide, array[1,2] as arr, '{\"a\": 1}'::jsonb as j;", ['--csv'])
  })

  test('\\conninfo, \\c: connected to the same database as the same user', async () => {
    const { stdout } = await psql(
      cluster.current.weftUrl,
      '\\conninfo\n\\c postgres reader\nselect current_user;',
    )
    expect(stdout).toContain('You are connected to database "postgres" as user "postgres"')
    expect(stdout).toContain('as user "reader"')
    expect(stdout).toMatch(/current_user[\s\S]*reader/)
    const wrong = await psql(cluster.current.weftUrl, '\\c nowhere')
    expect(wrong.stderr).toContain('database "nowhere" does not exist')
  })

  test('LISTEN: asynchronous notifications are printed', async () => {
    const { stdout } = await psql(cluster.current.weftUrl, "listen chan;\nnotify chan, 'hello';\nselect 1;")
    expect(stdout).toContain(
      'Asynchronous notification "chan" with payload "hello" received from server process',
    )
  })

  test('large objects: \\lo_import, \\lo_export, \\lo_list, \\lo_unlink', async () => {
    await writeFile(join(dir, 'blob'), 'large object'.repeat(2000))
    const { stdout, stderr } = await psql(
      cluster.current.weftUrl,
      `\\lo_import 'blob' 'what it is'\n\\lo_export :LASTOID 'back'\n\\lo_list\n\\lo_unlink :LASTOID\n\\lo_list
       BEGIN;\n\\lo_import 'blob'\nROLLBACK;\n\\lo_export :LASTOID 'none'\nSELECT count(*) FROM pg_largeobject;`,
    )
    expect(stderr).toMatch(/^ERROR: +large object \d+ does not exist\n$/)
    expect(stdout).toContain('what it is')
    expect(stdout).toMatch(/count\s+-+\s+0\n/)
    expect(await readFile(join(dir, 'back'), 'utf8')).toBe('large object'.repeat(2000))
  })
})
