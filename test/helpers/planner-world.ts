import pg from 'pg'
import type { Column } from '../../sql/catalog.ts'
import { Lexed } from '../../sql/lex/lexed.ts'
import { lexStatement } from '../../sql/lex/scan.ts'
import { offsetMap } from '../../sql/parse/offsets.ts'
import { parseStatements } from '../../sql/parse/parse.ts'
import type { GatherPlan, ToldContext } from '../../sql/plan/gather/gather-plan.ts'
import type { ForwardPlan, KeyValue, Plan } from '../../sql/plan/plan.ts'
import { planStatement } from '../../sql/plan/plan-statement.ts'
import { testCatalog } from './catalog.ts'

/**
 * One database that holds every row, and three that hold the rows of a shard each. A plan is carried out by hand over
 * the three; its answer has to be the one that the whole database gives to the statement itself.
 */

const TABLES = `
  CREATE TABLE orders (customer_id bigint NOT NULL, id bigint, amount numeric, qty integer, note text,
    created_at timestamptz DEFAULT '2024-05-06');
  CREATE TABLE items (customer_id bigint NOT NULL, order_id bigint NOT NULL, sku text, price double precision,
    weight real, span interval);
  CREATE TABLE customers (id bigint PRIMARY KEY, name text, region text, parent bigint);
  CREATE TABLE users (id uuid NOT NULL, name text, age smallint);
  CREATE TABLE countries (code text NOT NULL, name text, id integer);
  CREATE VIEW order_view AS SELECT customer_id, id, amount AS total FROM public.orders WHERE qty > 0;
  CREATE VIEW order_items AS SELECT o.customer_id, i.sku FROM public.orders o
    JOIN public.items i ON i.customer_id = o.customer_id AND i.order_id = o.id;
  CREATE VIEW order_totals AS SELECT customer_id, sum(amount) AS total FROM public.orders GROUP BY customer_id;`

/** Few different values, so that joins meet; keys 1 to 9 lie on all three shards. */
const ROWS = `
  INSERT INTO orders SELECT 1 + i % 9, i % 7, (i * 1.25)::numeric(10, 2), nullif(i % 5, 4), (ARRAY['a', 'b', NULL, 'de'])[1 + i % 4]
    FROM generate_series(1, 40) i;
  INSERT INTO items SELECT 1 + (i * 2) % 11, i % 7, (ARRAY['a', 'b', 'de', NULL])[1 + i % 4], i / 8.0, i / 4.0, i * interval '7 min'
    FROM generate_series(1, 30) i;
  INSERT INTO customers SELECT i, (ARRAY['a', 'b', 'c'])[1 + i % 3], (ARRAY['eu', 'us', NULL])[1 + i % 3], nullif(1 + i % 4, 4)
    FROM generate_series(1, 10) i;
  INSERT INTO users SELECT md5(i::text)::uuid, (ARRAY['a', 'b', 'de'])[1 + i % 3], i FROM generate_series(1, 12) i;
  INSERT INTO countries VALUES ('a', 'b', 1), ('de', 'de', 5), ('x', NULL, 3);`

const KEYS: Readonly<Record<string, string>> = {
  orders: 'hashint8extended(customer_id, 0)',
  items: 'hashint8extended(customer_id, 0)',
  customers: 'hashint8extended(id, 0)',
  users: 'uuid_hash_extended(id, 0)',
}
const HASHES: Readonly<Record<string, string>> = {
  int8: 'hashint8extended',
  uuid: 'uuid_hash_extended',
  text: 'hashtextextended',
}

export const catalog = testCatalog()

export type Answer =
  | {
      readonly kind: 'rows'
      /** Names and types. */
      readonly columns?: string
      readonly rows: readonly string[]
      readonly count: number
    }
  /** The planner refuses, or Postgres does when the values are known. */
  | { readonly kind: 'refused'; readonly why: string }

export interface World {
  /** What one Postgres with all rows says. */
  whole(sql: string): Promise<Answer>
  /** What the plan gives. */
  planned(sql: string): Promise<Answer>
  end(): Promise<void>
}

export async function planWorld(url: string): Promise<World> {
  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  const names = ['whole', 'shard0', 'shard1', 'shard2']
  for (const name of names) await admin.query(`CREATE DATABASE ${name}`)
  await admin.end()
  const clients = names.map((name) => {
    const target = new URL(url)
    target.pathname = `/${name}`
    return new pg.Client({ connectionString: target.href, types: { getTypeParser: () => (v: unknown) => v } })
  })
  for (const [i, client] of clients.entries()) {
    await client.connect()
    await client.query(TABLES + ROWS)
    if (i > 0) await keepOwnRows(client, i - 1)
  }
  const [whole, ...shards] = clients as [pg.Client, ...pg.Client[]]
  return {
    whole: (sql) => undone([whole], () => ask(whole, sql)),
    planned: (sql) => undone(shards, () => carryOut(shards, sql)),
    end: async () => {
      for (const client of clients) await client.end()
    },
  }
}

function shardOfSlot(slot: number): number {
  return catalog.slots[slot]!
}

async function keepOwnRows(client: pg.Client, shard: number): Promise<void> {
  const owned: number[] = []
  for (const [slot, owner] of catalog.slots.entries()) if (owner === shard) owned.push(slot)
  for (const [table, hash] of Object.entries(KEYS)) {
    const between = `${hash} & 4095 BETWEEN ${owned[0]} AND ${owned.at(-1)}`
    await client.query(`DELETE FROM ${table} WHERE NOT (${between})`)
  }
}

/** Writes are looked at and taken back. */
async function undone(clients: readonly pg.Client[], work: () => Promise<Answer>): Promise<Answer> {
  for (const client of clients) await client.query('BEGIN')
  try {
    return await work()
  } catch (error) {
    if (error instanceof pg.DatabaseError) return { kind: 'refused', why: error.message }
    throw error
  } finally {
    for (const client of clients) await client.query('ROLLBACK')
  }
}

/** The rows of the answer; of a write also the tables' rows afterwards. */
async function ask(client: pg.Client, sql: string, values: unknown[] = []): Promise<Answer> {
  const result = await client.query({ text: sql, values, rowMode: 'array' })
  const rows = (result.rows as unknown[][]).map((row) => JSON.stringify(row))
  if (result.command !== 'SELECT') rows.push(...(await contents(client)))
  const columns = result.fields.map((f) => `${f.name} ${f.dataTypeID}`).join(', ')
  return { kind: 'rows', columns, rows, count: result.rowCount ?? 0 }
}

async function contents(client: pg.Client): Promise<string[]> {
  const rows: string[] = []
  for (const table of Object.keys(KEYS)) {
    const result = await client.query({
      text: `SELECT '${table}', t.*::text FROM ${table} t`,
      rowMode: 'array',
    })
    rows.push(...(result.rows as unknown[][]).map((row) => JSON.stringify(row)))
  }
  return rows
}

export function planOf(sql: string, told: ToldContext = {}): Plan {
  const stmt = parseStatements(sql)[0]!
  return planStatement(stmt, literalsOf(stmt.text), catalog, {
    searchPath: ['public'],
    tempTables: new Set(),
    paramTypes: [],
    ...told,
  })
}

function literalsOf(text: string): { start: number; end: number }[] {
  const lexed = new Lexed()
  const bytes = Buffer.from(text)
  lexStatement(bytes, 0, bytes.length, lexed)
  const map = offsetMap(text)
  return Array.from({ length: lexed.literalCount }, (_, i) => ({
    start: map.toUtf16(lexed.starts[i]!),
    end: map.toUtf16(lexed.ends[i]!),
  }))
}

async function carryOut(shards: readonly pg.Client[], sql: string, told: ToldContext = {}): Promise<Answer> {
  const plan = planOf(sql, told)
  if (plan.kind === 'refused') return { kind: 'refused', why: plan.error.message }
  if (plan.kind !== 'forward') throw new Error(`cannot carry out a plan of kind ${plan.kind}`)
  const targets = await shardsOf(shards, plan, sql)
  if (typeof targets === 'string') return { kind: 'refused', why: targets }
  if (targets.length === 1) {
    const answer = await ask(shards[targets[0]!]!, sql)
    return plan.access === 'read' ? answer : withOthers(shards, targets[0]!, answer)
  }
  const { onSeveral } = plan
  if (onSeveral.kind === 'refuse') return { kind: 'refused', why: onSeveral.error.message }
  if (onSeveral.kind === 'aggregate') return aggregated(shards, targets, onSeveral.aggregate)
  if (onSeveral.kind === 'gather-outside') {
    if (onSeveral.relations.length > 0) return { kind: 'refused', why: 'what the catalog does not describe' }
    const described = new Map(told.described)
    for (const { sql: part } of onSeveral.parts ?? [])
      described.set(part, await describedColumns(shards[0]!, part))
    return carryOut(shards, sql, { outside: new Map(), described })
  }
  if (onSeveral.kind === 'gather') return gathered(shards, targets, onSeveral.gather)
  // In steps that only a coordinator takes: sql-found.test.ts and its neighbours have them.
  if (!EACH_FOR_ITSELF.has(onSeveral.kind)) return { kind: 'refused', why: onSeveral.kind }
  const answers: Answer[] = []
  for (const [i, shard] of shards.entries()) {
    if (targets.includes(i)) answers.push(await ask(shard, sql))
    else if (plan.access === 'write') answers.push({ kind: 'rows', rows: await contents(shard), count: 0 })
  }
  const all = answers.flatMap((a) => (a.kind === 'rows' ? [a] : []))
  const columns = all.find((a) => a.columns !== undefined)?.columns ?? ''
  const count = all.reduce((n, a) => n + a.count, 0)
  return { kind: 'rows', columns, rows: all.flatMap((a) => a.rows), count }
}

const EACH_FOR_ITSELF: ReadonlySet<string> = new Set(['concat', 'sum', 'first'])

async function withOthers(shards: readonly pg.Client[], target: number, answer: Answer): Promise<Answer> {
  if (answer.kind === 'refused') return answer
  const rows = [...answer.rows]
  for (const [i, shard] of shards.entries()) if (i !== target) rows.push(...(await contents(shard)))
  return { ...answer, rows }
}

async function shardsOf(
  shards: readonly pg.Client[],
  plan: ForwardPlan,
  sql: string,
): Promise<number[] | string> {
  const { route } = plan
  if (route.kind === 'home') return [0]
  if (route.kind === 'any') return [2]
  if (route.kind === 'all') return [0, 1, 2]
  if (route.kind === 'cursor') return `where cursor ${route.name} stands`
  const found = new Set<number>()
  for (const { keyType, values } of route.restrictions) {
    for (const value of values) {
      const slot = await slotOf(shards[0]!, HASHES[keyType]!, keyType, value, sql)
      if (slot !== undefined) found.add(shardOfSlot(slot))
    }
  }
  if (found.size > 1 && route.spread !== undefined) return route.spread.message
  return found.size === 0 ? [1] : [...found].sort()
}

async function slotOf(
  client: pg.Client,
  hash: string,
  keyType: string,
  { source, castTo }: KeyValue,
  sql: string,
): Promise<number | undefined> {
  if (source.kind !== 'literal') return undefined
  const { start, end } = literalsOf(sql)[source.index]!
  const cast = castTo === undefined ? '' : `::${castTo}`
  const text = `${source.negate ? '-' : ''}${sql.slice(start, end)}`
  const result = await client.query(`SELECT ${hash}((${text})${cast}::${keyType}, 0) & 4095 AS slot`)
  return Number((result.rows[0] as { slot: string }).slot)
}

async function aggregated(
  shards: readonly pg.Client[],
  targets: readonly number[],
  plan: { readonly partialSql: string; readonly combineSql: string },
): Promise<Answer> {
  const rows: string[] = []
  for (const target of targets) {
    const result = await shards[target]!.query({ text: plan.partialSql, rowMode: 'array' })
    const types = await typesOf(shards[0]!, result.fields)
    const values = (result.rows[0] as (string | null)[]).map((v, i) => `${literal(v)}::${types[i]}`)
    rows.push(`(${values.join(', ')})`)
  }
  const sql = plan.combineSql.replaceAll('__WEFT_PARTIALS__', () => `(VALUES ${rows.join(', ')})`)
  return ask(shards[0]!, sql)
}

async function gathered(
  shards: readonly pg.Client[],
  targets: readonly number[],
  { inputs, part, first, finish }: GatherPlan,
): Promise<Answer> {
  const columns = inputs.map((input) => input.columns.map((): (string | null)[] => []))
  for (const [i, target] of targets.entries()) {
    const { sql } = i === 0 ? first : part
    const types = { getTypeParser: () => (value: unknown) => value }
    const result = await shards[target]!.query({ text: sql, rowMode: 'array', types } as pg.QueryArrayConfig)
    for (const row of result.rows as (string | null)[][]) {
      const input = Number(row[0])
      const { slots } = inputs[input]!
      for (const [c, column] of columns[input]!.entries()) column.push(row[1 + slots[c]!] ?? null)
    }
  }
  return ask(shards[0]!, finish, columns.flat())
}

async function describedColumns(client: pg.Client, sql: string): Promise<readonly Column[]> {
  const { fields } = await client.query(`SELECT * FROM (${sql}) AS part LIMIT 0`)
  const types = await typesOf(client, fields)
  return fields.map(({ name, dataTypeID }, i) => ({
    ...{ name, type: types[i]!, typeOid: dataTypeID },
    ...{ notNull: false, usesSequence: false, generated: false },
  }))
}

async function typesOf(client: pg.Client, fields: readonly pg.FieldDef[]): Promise<string[]> {
  const types: string[] = []
  for (const field of fields) {
    const result = await client.query(`SELECT format_type(${field.dataTypeID}, -1) AS name`)
    types.push((result.rows[0] as { name: string }).name)
  }
  return types
}

const literal = (value: string | null): string =>
  value === null ? 'NULL' : `'${value.replaceAll("'", "''")}'`

/** Order does not count: statements whose order matters go to one shard only. */
export function sameRows(a: Answer, b: Answer): boolean {
  if (a.kind !== 'rows' || b.kind !== 'rows') return false
  const sorted = (rows: readonly string[]) => [...rows].sort().join('\n')
  return a.columns === b.columns && a.count === b.count && sorted(a.rows) === sorted(b.rows)
}
