/**
 * Queries of Postgres' regression suite with its standard tables sharded: each statement on a plain Postgres and through
 * Weft, one after the other in one session, rows compared as sets. What Weft refuses, plain is not told. Two more plain
 * ones, which have the tables' rows the other way round, and mixed, are told the same: where they differ, the answer is not
 * determined.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Answer, TwinSession, type Verdict } from '../helpers/twin-session.ts'
import type { SuiteSources } from './sources.ts'
import { statementsOf } from './statements.ts'

/** Those that ask the tables of test_setup, ahead of those that change them. */
export const QUERY_FILES = [
  'select select_distinct select_distinct_on select_having select_implicit join aggregates subselect union window',
  'groupingsets limit case tsrf rangefuncs int2 int4 int8 text varchar char join_hash incremental_sort memoize',
  'select_parallel tablesample portals with returning update delete random',
].flatMap((names) => names.split(' '))

const DECLARATIONS = [
  "SELECT create_distributed_table('onek', 'unique1')",
  "SELECT create_distributed_table('onek2', 'unique1')",
  "SELECT create_distributed_table('tenk1', 'unique1')",
  "SELECT create_distributed_table('tenk2', 'unique1')",
  "SELECT create_distributed_table('int4_tbl', 'f1')",
  "SELECT create_distributed_table('int8_tbl', 'q1')",
  "SELECT create_distributed_table('int2_tbl', 'f1')",
  "SELECT create_distributed_table('text_tbl', 'f1')",
  "SELECT create_distributed_table('varchar_tbl', 'f1')",
  "SELECT create_reference_table('char_tbl')",
  "SELECT create_reference_table('float8_tbl')",
]

export interface Counts {
  same: number
  refused: number
  different: number
  /** It hangs on the order of rows that nothing orders. */
  undetermined: number
}

export interface ShardedReport {
  readonly files: Record<string, Counts>
  /** How often each refusal was said, names taken out. */
  readonly refusals: Record<string, number>
  /** Of which statements. */
  readonly refused: readonly string[]
  readonly differences: readonly string[]
}

type Server = { readonly port: number }

export interface Servers {
  readonly weft: Server
  readonly plain: Server
  readonly mixed: Server
  readonly remixed: Server
}

const SIMPLE = { name: 'simple', protocol: 'simple' } as const

export async function runSharded(
  sources: SuiteSources,
  servers: Servers,
  database: string,
  names: readonly string[],
  each: (name: string, counts: Counts) => void,
): Promise<ShardedReport> {
  await setUp(sources, servers, database)
  const report = {
    files: {} as Record<string, Counts>,
    refusals: {} as Record<string, number>,
    refused: [] as string[],
    differences: [] as string[],
  }
  for (const name of names) {
    const [session, controls] = await Promise.all([
      open(servers.weft, servers.plain, database),
      open(servers.mixed, servers.remixed, database),
    ])
    const counts = { same: 0, refused: 0, different: 0, undetermined: 0 }
    report.files[name] = counts
    for (const sql of statementsOf(readFileSync(join(sources.regress, 'sql', `${name}.sql`), 'utf8'))) {
      if (IS_OF_PLANS.test(sql)) continue
      const verdict = await session.run({ sql }, SIMPLE)
      const control = await controls.run({ sql: verdict.kind === 'refused' ? RAISE : sql }, SIMPLE)
      if (verdict.kind === 'different' && !isDetermined(verdict.plain, control)) counts.undetermined++
      else count(report, name, sql, verdict, counts)
    }
    session.end()
    controls.end()
    each(name, counts)
  }
  return report
}

/** All three plain servers say the same. */
function isDetermined(plain: Answer, control: Verdict): boolean {
  return control.kind === 'same' && control.answer.lines.join('\n') === plain.lines.join('\n')
}

/** Plans, and an aggregate whose answer tells whether Postgres has taken a parallel one. */
const IS_OF_PLANS = /^explain\b|^select balk\(/i

/** As a refusal leaves a transaction. */
const RAISE = "DO $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '58000'; END $$"

function count(
  report: { refusals: Record<string, number>; refused: string[]; differences: string[] },
  file: string,
  sql: string,
  verdict: Verdict,
  counts: Counts,
): void {
  if (verdict.kind === 'skipped') return
  counts[verdict.kind]++
  if (verdict.kind === 'refused') {
    const what = `${verdict.id}: ${verdict.message.replace(/"[^"]*"/g, '"…"')}`
    report.refusals[what] = (report.refusals[what] ?? 0) + 1
    report.refused.push(`${file}: ${verdict.id}: ${sql}`)
  }
  if (verdict.kind !== 'different') return
  const { plain, weft } = verdict
  report.differences.push(`${file}: ${sql}\n  plain: ${shown(plain.lines)}\n  weft:  ${shown(weft.lines)}`)
}

const SHOWN_LINES = 12
const shown = (lines: readonly string[]): string => lines.slice(0, SHOWN_LINES).join('\n         ')

/** Two sessions that are told the same; `first` is compared with `second`. */
const open = (first: Server, second: Server, database: string): Promise<TwinSession> => {
  const host = '127.0.0.1'
  const styles = {
    datestyle: 'Postgres, MDY',
    timezone: 'America/Los_Angeles',
    intervalstyle: 'postgres_verbose',
  }
  const servers = { weft: { host, port: first.port }, plain: { host, port: second.port } }
  return TwinSession.open(servers, { database, ...styles })
}

/** What test_setup makes, then the declarations; data files are read by the servers. */
async function setUp(sources: SuiteSources, servers: Servers, database: string): Promise<void> {
  const session = await open(servers.weft, servers.plain, database)
  const controls = await open(servers.mixed, servers.remixed, database)
  const file = readFileSync(join(sources.regress, 'sql', 'test_setup.sql'), 'utf8')
  const text = file.replace(
    /\\set filename :abs_srcdir '([^']*)'\n(COPY \w+ FROM) :'filename'/g,
    (_, path: string, copy: string) => `${copy} '${sources.regress}${path}'`,
  )
  for (const sql of statementsOf(text)) {
    for (const each of [session, controls]) {
      await each.onPlain(sql)
      await each.onWeft(sql)
    }
  }
  for (const declaration of DECLARATIONS) await session.onWeft(declaration)
  for (const [, table] of DECLARATIONS.join().matchAll(/table\('(\w+)'/g)) {
    await controls.onPlain(inOrder(table!, 'ctid DESC'))
    await controls.onWeft(inOrder(table!, `md5('n' || ${table}::text)`))
  }
  session.end()
  controls.end()
}

/**
 * Of two rows that nothing orders, the other one comes first where all stand the other way round. The middle one stands
 * where it did: so the other order is one in which no row of the small tables does.
 */
const inOrder = (table: string, order: string): string =>
  `CREATE TEMP TABLE mixed AS SELECT * FROM ${table} ORDER BY ${order}; TRUNCATE ${table};
   INSERT INTO ${table} SELECT * FROM mixed; DROP TABLE mixed`
