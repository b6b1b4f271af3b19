import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { adviseDatabase } from '../../advise/database.ts'
import type { AdviceReport } from '../../advise/report.ts'
import { useTestCluster } from '../helpers/cluster.ts'
import { connectTo, query, startPostgres, type TestPostgres } from '../helpers/postgres.ts'
import { seeded } from '../helpers/random-queries.ts'
import { runWeft } from '../helpers/weft-process.ts'
import { type Row, type Run, runTransaction } from '../tpcc/transactions.ts'

const cluster = useTestCluster()
const dir = mkdtempSync(join(tmpdir(), 'weft-advise-'))
const text = (name: string): string => readFileSync(new URL(`../tpcc/${name}`, import.meta.url), 'utf8')
let postgres: TestPostgres

beforeAll(async () => {
  postgres = await startPostgres({ settings: { shared_preload_libraries: 'pg_stat_statements' } })
})
afterAll(async () => {
  rmSync(dir, { recursive: true, force: true })
  await postgres.stop()
})

async function database(name: string): Promise<string> {
  await query(postgres.url, `CREATE DATABASE ${name}`)
  const url = new URL(postgres.url)
  url.pathname = `/${name}`
  await query(url.href, 'CREATE EXTENSION pg_stat_statements')
  return url.href
}

const kept = ({ tables }: AdviceReport): string[] =>
  tables.map(({ table, kind, key }) => `${table} ${key === null ? kind : `by ${key}`}`).sort()

describe('TPC-C', () => {
  let url: string
  beforeAll(async () => {
    url = await database('tpcc')
    await query(url, text('schema.sql'))
    await query(url, text('data.sql'))
    await query(url, 'SELECT pg_stat_statements_reset()')
    await runTransactions(url)
  })

  it('is sharded by the warehouse, and its items are copied: as everybody does it', async () => {
    const { code, stdout, stderr } = await runWeft(['advise', '--from', url, '--json']).finished
    expect([code, stderr]).toEqual([0, ''])
    const report = JSON.parse(stdout) as AdviceReport
    expect(kept(report)).toEqual([
      'customer by c_w_id',
      'district by d_w_id',
      'history by h_w_id',
      'item reference',
      'new_order by no_w_id',
      'order_line by ol_w_id',
      'orders by o_w_id',
      'stock by s_w_id',
      'warehouse by w_id',
    ])
    expect([report.calls.one, report.obstacles, report.others, report.unread]).toEqual([1, [], [], 0])
    expect(report.time?.one).toBe(1)
    const column = (table: string, name: string) =>
      report.candidates.find((one) => one.table === table && one.column === name)!
    expect(column('district', 'd_w_id')).toMatchObject({ calls: 1, chosen: true })
    expect(column('customer', 'c_id').calls).toBeLessThan(0.9)
    // What is to be typed in is taken.
    await query(cluster.current.weftUrl, text('schema.sql'))
    for (const line of report.ddl) await query(cluster.current.weftUrl, line)
    const declared = await query(
      cluster.current.weftUrl,
      'SELECT DISTINCT kind, colocation FROM weft.tables ORDER BY 1',
    )
    expect(declared).toEqual([
      { kind: 'reference', colocation: null },
      { kind: 'sharded', colocation: 1 },
    ])
  })

  it('is a text for people', async () => {
    const { stdout } = await runWeft(['advise', '--from', url]).finished
    expect(stdout).toMatch(
      /^Of \d+ statements, 100\.0 % of the calls, 100\.0 % of the time would be for one shard\.\n/,
    )
    expect(stdout).toContain("  SELECT create_reference_table('item');\n")
    expect(stdout).toMatch(/ {2}SELECT create_distributed_table\('warehouse', 'w_id'\);\n/)
  })
})

const TENANTS = `
CREATE TABLE tenant (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL);
CREATE TABLE plan (code text PRIMARY KEY, price numeric NOT NULL);
CREATE TABLE member (tenant_id uuid NOT NULL REFERENCES tenant, id bigint GENERATED ALWAYS AS IDENTITY, email text NOT NULL,
  plan_code text REFERENCES plan, PRIMARY KEY (tenant_id, id));
CREATE TABLE project (tenant_id uuid NOT NULL REFERENCES tenant, id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text);
CREATE TABLE "Task" (tenant_id uuid NOT NULL, id bigint, project_id bigint NOT NULL, done bool NOT NULL DEFAULT false, PRIMARY KEY (tenant_id, id));
CREATE VIEW open_task AS SELECT * FROM "Task" WHERE NOT done;`

const REQUESTS = `
SELECT * FROM member WHERE tenant_id = '00000000-0000-0000-0000-000000000001' AND id = 7;
SELECT m.email, p.price FROM member m JOIN plan p ON p.code = m.plan_code WHERE m.tenant_id = '00000000-0000-0000-0000-000000000002';
SELECT t.id FROM open_task t JOIN project p ON p.tenant_id = t.tenant_id AND p.id = t.project_id WHERE p.tenant_id = '00000000-0000-0000-0000-000000000003';
UPDATE "Task" SET done = true WHERE tenant_id = '00000000-0000-0000-0000-000000000004' AND id = 1;
INSERT INTO "Task" (tenant_id, id, project_id) VALUES ('00000000-0000-0000-0000-000000000005', 1, 2);
SELECT name FROM tenant WHERE id = '00000000-0000-0000-0000-000000000006';
INSERT INTO project (tenant_id, title) VALUES ('00000000-0000-0000-0000-000000000007', 'x');
SELECT code FROM plan;
SELECT count(*) FROM "Task";
SELEC 1;
`

describe('several tenants', () => {
  const file = join(dir, 'requests.sql')
  let url: string
  beforeAll(async () => {
    url = await database('tenants')
    await query(url, TENANTS)
    writeFileSync(file, REQUESTS)
  })

  it('are sharded by the tenant; what is in the way, and what stays over all shards, is told', async () => {
    const report = await adviseDatabase(url, REQUESTS)
    expect(kept(report)).toEqual([
      '"Task" by tenant_id',
      'member by tenant_id',
      'plan reference',
      'project by tenant_id',
      'tenant by id',
    ])
    expect(report).toMatchObject({
      statements: 9,
      unread: 1,
      time: null,
      calls: { one: 0.8889, all: 0.1111 },
    })
    expect(report.others).toMatchObject([
      { reach: 'all', calls: 0.1111, statement: 'SELECT count(*) FROM "Task"' },
    ])
    expect(report.obstacles).toMatchObject([
      { table: 'project', what: expect.stringContaining('"project_pkey" does not contain tenant_id') },
    ])
    const weft = cluster.current.weftUrl
    await query(weft, TENANTS)
    for (const { todo } of report.obstacles) await query(weft, /ALTER TABLE .*(?=\.$)/.exec(todo)![0])
    for (const line of report.ddl) await query(weft, line)
    expect(
      await query(
        weft,
        "SELECT count(*)::int AS n FROM weft.tables WHERE table_name IN ('Task', 'member', 'project', 'tenant')",
      ),
    ).toEqual([{ n: 4 }])
  })

  it('by a log of Postgres, with times', async () => {
    const log = REQUESTS.trim()
      .split('\n')
      .map(
        (line, i) =>
          `2026-01-01 00:00:00 UTC [${i}] LOG:  duration: ${i === 8 ? 91 : 1}.000 ms  statement: ${line.replace(' WHERE', '\n\t WHERE')}`,
      )
    const report = await adviseDatabase(url, ['2026-01-01 LOG:  database system is ready', ...log].join('\n'))
    expect(report).toMatchObject({ calls: { one: 0.8889 }, time: { one: 0.0808, all: 0.9192 } })
  })
})

describe('what cannot be judged', () => {
  it('is one line that says what to do', async () => {
    const fails = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await runWeft(['advise', ...args]).finished
      expect([code, stdout, stderr.trim().split('\n').length]).toEqual([1, '', 1])
      return stderr
    }
    expect(await fails('--from', 'postgres://nobody:secret@127.0.0.1:1/x')).toMatch(
      /^weft: postgres:\/\/nobody@127.0.0.1:1\/x: connect ECONNREFUSED/,
    )
    const bare = await database('bare')
    await query(bare, 'DROP EXTENSION pg_stat_statements')
    expect(await fails('--from', bare)).toContain('CREATE EXTENSION pg_stat_statements')
    writeFileSync(join(dir, 'empty.sql'), '-- nothing')
    expect(await fails('--from', bare, '--statements', join(dir, 'empty.sql'))).toContain(
      'there are no statements',
    )
  })
})

const TRANSACTIONS = 60

async function runTransactions(url: string): Promise<void> {
  const client = await connectTo(url)
  const r = seeded(7)
  const run: Run = async (sql, params) => (await client.query<Row>(sql, [...params])).rows
  for (let turn = 0; turn < TRANSACTIONS; turn++) await runTransaction(client, run, r)
  await client.end()
}
