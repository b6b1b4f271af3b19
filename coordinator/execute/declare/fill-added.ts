import { weftError } from '../../../errors/catalog.ts'
import { PgError } from '../../../errors/pg-error.ts'
import { SAFE_SETTINGS } from '../../../sql/plan/gather/plan-gather.ts'
import type { AddedColumns } from '../../../sql/plan/plan.ts'
import { gatheredSize, MAX_GATHERED } from '../../../sql/plan/utility/gathered-size.ts'
import { type ExecContext, HOME, shardsBesideHome } from '../context.ts'
import { quoteName, quoteTable, textArray } from '../quote.ts'
import { queryShard } from '../shards/send.ts'
import { settleAll } from '../shards/settle-all.ts'

const UNLOOKED = { writes: false, looks: false }
const WRITES = { writes: true }

/**
 * ALTER TABLE has given the rows of each shard values of new columns, each shard its own: those that draw from a sequence go
 * on, shard after shard, where home's has come to; copies of a reference table get what home has.
 */
export async function fillAdded(ctx: ExecContext, added: AddedColumns): Promise<void> {
  if (added.table.kind === 'reference') return copyHomes(ctx, added)
  for (const shard of shardsBesideHome(ctx.node.shardCount)) await numberOn(ctx, added, shard)
}

/** Of a column's own sequence: how many values were drawn, the first of them, the step; and the column's type. */
const DRAWN = `
SELECT COALESCE((pg_catalog.pg_sequence_last_value(s.seqrelid) - s.seqstart) / s.seqincrement + 1, 0),
  s.seqstart, s.seqincrement, pg_catalog.format_type(s.seqtypid, NULL)
FROM pg_catalog.pg_sequence s WHERE s.seqrelid = CAST(pg_catalog.pg_get_serial_sequence($1, $2) AS pg_catalog.regclass)`

/** The first of as many values as $3, which are drawn one after the other. */
const DRAW = `
WITH d AS MATERIALIZED (SELECT pg_catalog.nextval(s.seq) AS v
  FROM (SELECT CAST(pg_catalog.pg_get_serial_sequence($1, $2) AS pg_catalog.regclass) AS seq) AS s,
    pg_catalog.generate_series(1, CAST($3 AS pg_catalog.int8)))
SELECT CASE WHEN CAST($4 AS pg_catalog.int8) > 0 THEN pg_catalog.min(v) ELSE pg_catalog.max(v) END FROM d`

/** The table is locked until the transaction ends, and nobody else knows the sequences. */
async function numberOn(ctx: ExecContext, added: AddedColumns, shard: number): Promise<void> {
  const table = quoteTable(added.table)
  const changes: string[] = []
  for (const column of added.columns) {
    const { rows } = await queryShard(ctx, ctx.line(shard), DRAWN, [table, column], UNLOOKED)
    const [count, start, step, type] = rows[0]!.map(String)
    if (count === '0') continue
    const drawn = await queryShard(ctx, ctx.line(HOME), DRAW, [table, column, count!, step!], WRITES)
    const by = BigInt(String(drawn.rows[0]![0])) - BigInt(start!)
    const name = quoteName(column)
    changes.push(
      `ALTER COLUMN ${name} TYPE ${type} USING ${name} OPERATOR(pg_catalog.+) CAST(${by} AS pg_catalog.int8)`,
    )
  }
  if (changes.length > 0)
    await queryShard(ctx, ctx.line(shard), `ALTER TABLE ${table} ${changes.join(', ')}`, [], WRITES)
}

/** By the primary key. */
async function copyHomes(ctx: ExecContext, added: AddedColumns): Promise<void> {
  const table = quoteTable(added.table)
  const keys = added.table.primaryKey ?? []
  const names = [...keys, ...added.columns]
  const columnsThere = await columnsOf(ctx, table, names)
  const types = columnsThere.map(({ type }) => type)
  const texts = names.map((name) => `CAST(${quoteName(name)} AS pg_catalog.text)`)
  const read = `SELECT ${SAFE_SETTINGS}, ${texts.join(', ')} FROM ${table}`
  const { rows } = await queryShard(ctx, ctx.line(HOME), read, [], { writes: false })
  if (rows.length === 0) return
  if (String(rows[0]![0]) !== 't') throw weftError('not_supported', INEXACT)
  const arrays = names.map((_, i) => textArray(rows.map((row) => row[i + 1]?.toString() ?? null)))
  const size = arrays.reduce((sum, array) => sum + array.length, 0)
  const max = gatheredSize(ctx.settings.inForce(MAX_GATHERED) ?? '')
  if (max !== undefined && size > max)
    throw weftError('gathers_too_much', { table: added.table.name, key: undefined, max })
  const columns = names.map((_, i) => `c${i}`)
  const value = (i: number): string => `CAST(v.c${i} AS ${types[i]})`
  const set = added.columns.map((name, i) => `${quoteName(name)} = ${value(keys.length + i)}`)
  const unnested = columns.map((_, i) => `pg_catalog.unnest(CAST($${i + 1} AS pg_catalog.text[]))`)
  const update =
    `UPDATE ${table} AS t SET ${set.join(', ')} FROM ROWS FROM (${unnested.join(', ')}) AS v (${columns.join(', ')}) ` +
    `WHERE ${keys.map((name, i) => `t.${quoteName(name)} = ${value(i)}`).join(' AND ')}`
  const always = names.filter((_, i) => columnsThere[i]!.isAlways)
  const others = shardsBesideHome(ctx.node.shardCount)
  try {
    await alterAlways(ctx, table, always, 'BY DEFAULT')
    await settleAll(others.map((shard) => queryShard(ctx, ctx.line(shard), update, arrays, WRITES)))
    await alterAlways(ctx, table, always, 'ALWAYS')
  } catch (error) {
    // Two rows change their values with each other.
    const isUnique = error instanceof PgError && error.code === '23505'
    throw isUnique ? weftError('not_supported', UNIQUE) : error
  }
}

/** An UPDATE gives no values to columns GENERATED ALWAYS. */
async function alterAlways(
  ctx: ExecContext,
  table: string,
  names: readonly string[],
  generated: 'ALWAYS' | 'BY DEFAULT',
): Promise<void> {
  if (names.length === 0) return
  const changes = names.map((name) => `ALTER COLUMN ${quoteName(name)} SET GENERATED ${generated}`)
  const sql = `ALTER TABLE ${table} ${changes.join(', ')}`
  const others = shardsBesideHome(ctx.node.shardCount)
  await settleAll(others.map((shard) => queryShard(ctx, ctx.line(shard), sql, [], WRITES)))
}

interface ColumnThere {
  readonly type: string
  readonly isAlways: boolean
}

async function columnsOf(ctx: ExecContext, table: string, names: readonly string[]): Promise<ColumnThere[]> {
  const sql = `
SELECT pg_catalog.format_type(a.atttypid, a.atttypmod), a.attidentity = 'a'
FROM pg_catalog.unnest(CAST($2 AS pg_catalog.text[])) WITH ORDINALITY AS n (name, i)
JOIN pg_catalog.pg_attribute a ON a.attrelid = CAST($1 AS pg_catalog.regclass) AND a.attname = n.name ORDER BY n.i`
  const { rows } = await queryShard(ctx, ctx.line(HOME), sql, [table, textArray(names)], UNLOOKED)
  return rows.map(([type, isAlways]) => ({ type: String(type), isAlways: String(isAlways) === 't' }))
}

const UNIQUE = {
  id: 'sequence_default',
  what:
    'adding a column with unique values to a reference table whose copies have their rows in another order is not ' +
    'supported',
  hint: 'Add the column first, then the constraint.',
} as const

const INEXACT = {
  id: 'inexact_text',
  what: 'adding a column to a reference table, with settings by which its text may lose something, is not supported',
  hint: "SET extra_float_digits = 1, DateStyle = 'ISO' and IntervalStyle = 'postgres'.",
} as const
