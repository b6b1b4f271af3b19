import pg from 'pg'
import type { KeyType } from '../../sql/catalog.ts'
import { slotExpression } from '../../sql/hash/slot-expression.ts'
import type { TestCluster } from './cluster.ts'

interface Table {
  readonly schema: string
  readonly name: string
  readonly kind: 'sharded' | 'reference' | 'local'
  readonly key: string | null
  readonly keyType: KeyType | null
}

/**
 * Looks at every shard directly: rows that are not on the shard that owns their slot (invariant I6), copies of a
 * reference table that differ (I5), and tables whose rows are not those of the plain server. Empty when all is well.
 */
export async function misplaced(cluster: TestCluster, schema?: string): Promise<string[]> {
  const shards = await Promise.all(cluster.weft.shards.map(({ url }) => connect(url)))
  const plain = await connect(cluster.plainUrl)
  try {
    const tables = await tablesOf(shards[0]!, schema)
    const owned = await ownedSlots(shards)
    const findings: string[] = []
    for (const table of tables) findings.push(...(await lookAt(shards, plain, table, owned)))
    findings.push(...(await onlyOnPlain(plain, tables, schema)))
    return findings
  } finally {
    await Promise.all([...shards, plain].map((client) => client.end()))
  }
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  return client
}

const USER_TABLES = `c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND NOT c.relispartition
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'weft') AND n.nspname NOT LIKE 'pg\\_%'`

async function tablesOf(home: pg.Client, schema: string | undefined): Promise<Table[]> {
  const { rows } = await home.query<Table>(
    `SELECT n.nspname AS schema, c.relname AS name, coalesce(r.kind, 'local') AS kind, a.attname AS key,
            r.key_type AS "keyType"
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN weft.relation r ON r.relid = c.oid
     LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = r.key_attnum
     WHERE ${USER_TABLES} AND ($1::text IS NULL OR n.nspname = $1) ORDER BY 1, 2`,
    [schema ?? null],
  )
  return rows
}

async function onlyOnPlain(plain: pg.Client, tables: readonly Table[], schema?: string): Promise<string[]> {
  const { rows } = await plain.query<{ schema: string; name: string }>(
    `SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE ${USER_TABLES} AND ($1::text IS NULL OR n.nspname = $1)`,
    [schema ?? null],
  )
  const known = new Set(tables.map((t) => `${t.schema}.${t.name}`))
  return rows
    .map((t) => `${t.schema}.${t.name}`)
    .filter((t) => !known.has(t))
    .map((t) => `${t}: not on Weft`)
}

async function lookAt(
  shards: readonly pg.Client[],
  plain: pg.Client,
  table: Table,
  owned: readonly (readonly SlotRange[])[],
): Promise<string[]> {
  const name = `${pg.escapeIdentifier(table.schema)}.${pg.escapeIdentifier(table.name)}`
  const findings: string[] = []
  const having = table.kind === 'local' ? shards.slice(0, 1) : shards
  const [expected, ...copies] = await Promise.all([plain, ...having].map((server) => rowsOf(server, name)))
  if (typeof expected !== 'object') return [`${name}: only on Weft (${expected})`]
  const missing = copies.find((copy) => typeof copy === 'string')
  if (missing !== undefined) return [`${name}: ${String(missing)}`]
  const contents = copies as string[][]
  if (table.kind === 'sharded') {
    findings.push(...(await wrongShard(shards, table, name, owned)))
    findings.push(...differs(name, contents.flat().sort(), expected))
  } else {
    for (const [i, copy] of contents.entries())
      findings.push(...differs(`${name} on shard ${i}`, copy, expected))
  }
  return findings
}

async function rowsOf(client: pg.Client, name: string): Promise<string[] | string> {
  try {
    const { rows } = await client.query<{ row: string }>(`SELECT t::text AS row FROM ${name} t`)
    return rows.map(({ row }) => row).sort()
  } catch (error) {
    return (error as Error).message
  }
}

interface SlotRange {
  readonly slot_from: number
  readonly slot_to: number
}

/** By shard. */
async function ownedSlots(shards: readonly pg.Client[]): Promise<SlotRange[][]> {
  const { rows } = await shards[0]!.query<SlotRange & { shard: number }>(
    'SELECT slot_from, slot_to, shard FROM weft.slots',
  )
  return shards.map((_, i) => rows.filter(({ shard }) => shard === i))
}

async function wrongShard(
  shards: readonly pg.Client[],
  table: Table,
  name: string,
  owned: readonly (readonly SlotRange[])[],
): Promise<string[]> {
  const slot = slotExpression(table.keyType!, pg.escapeIdentifier(table.key!))
  const findings = await Promise.all(
    shards.map(async (shard, i) => {
      const own = owned[i]!.map((range) => `${slot} BETWEEN ${range.slot_from} AND ${range.slot_to}`)
      const { rows } = await shard.query<{ row: string }>(
        `SELECT t::text AS row FROM ${name} t WHERE NOT coalesce(${own.join(' OR ') || 'false'}, false)`,
      )
      return rows.map(({ row }) => `${name}: ${row} is on shard ${i}, which does not own its slot`)
    }),
  )
  return findings.flat()
}

function differs(name: string, found: readonly string[], expected: readonly string[]): string[] {
  if (found.join('\n') === expected.join('\n')) return []
  const left = [...expected]
  const added = found.filter((row) => {
    const at = left.indexOf(row)
    if (at >= 0) left.splice(at, 1)
    return at < 0
  })
  const show = (rows: readonly string[]) => rows.slice(0, 5).join(' ')
  return [`${name}: ${left.length} rows missing: ${show(left)}; ${added.length} too many: ${show(added)}`]
}
