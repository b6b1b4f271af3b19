import { AdminError } from '../admin-error.ts'
import { literal } from '../audit.ts'
import { type ClusterAccess, shardsOf, statusesOf } from '../cluster-access.ts'
import type { Change, Move, Progress, Shard, Table, TableParts } from './schemas.ts'
import { stateOf } from './shard-state.ts'

const TABLES = `
SELECT n.nspname::text AS schema, c.relname::text AS table, coalesce(r.kind, 'local') AS kind, a.attname::text AS shard_key,
       r.colocation
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN weft.relation r ON r.relid = c.oid
  LEFT JOIN pg_attribute a ON a.attrelid = r.relid AND a.attnum = r.key_attnum
 WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'weft')
   AND n.nspname NOT LIKE 'pg\\_%'
 ORDER BY 1, 2`

const BYTES = `
SELECT n.nspname, c.relname, greatest(0, coalesce(s.rows, c.reltuples))::bigint, coalesce(s.bytes, pg_total_relation_size(c.oid))
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN LATERAL (
    SELECT sum(p.reltuples) FILTER (WHERE p.reltuples >= 0) AS rows, sum(pg_total_relation_size(p.oid)) AS bytes
      FROM pg_partition_tree(c.oid) t JOIN pg_class p ON p.oid = t.relid WHERE t.isleaf AND c.relkind = 'p') s ON true
 WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'weft')
   AND n.nspname NOT LIKE 'pg\\_%'`

interface Part {
  readonly rows: number
  readonly bytes: number
}

/** What a shard has of each table, by its name; undefined when it does not answer. */
async function partsOn(cluster: ClusterAccess, shard: number): Promise<Map<string, Part> | undefined> {
  try {
    const rows = await cluster.onShard(shard, BYTES)
    return new Map(rows.map(([s, t, n, bytes]) => [`${s}.${t}`, { rows: Number(n), bytes: Number(bytes) }]))
  } catch {
    return undefined
  }
}

const allParts = (cluster: ClusterAccess) =>
  Promise.all(shardsOf(cluster).map((shard) => partsOn(cluster, shard)))

const listed = async (cluster: ClusterAccess): Promise<Omit<Table, 'bytes'>[]> =>
  (await cluster.query(TABLES)) as unknown as Omit<Table, 'bytes'>[]

/** Where its rows are. */
const isOn = (shard: number, { kind }: Pick<Table, 'kind'>): boolean => kind !== 'local' || shard === 0

export async function tables(cluster: ClusterAccess): Promise<Table[]> {
  const [all, parts] = await Promise.all([listed(cluster), allParts(cluster)])
  return all.map((one) => {
    const found = parts
      .filter((_, shard) => isOn(shard, one))
      .map((part) => part?.get(`${one.schema}.${one.table}`))
    const isKnown = found.every((part) => part !== undefined)
    return { ...one, bytes: isKnown ? found.reduce((sum, part) => sum + (part?.bytes ?? 0), 0) : null }
  })
}

export async function tableParts(cluster: ClusterAccess, name: string): Promise<TableParts> {
  const one = await named(cluster, name)
  const parts = (await allParts(cluster)).flatMap((part, shard) => {
    const found = isOn(shard, one) ? part?.get(`${one.schema}.${one.table}`) : undefined
    return found === undefined ? [] : [{ shard, ...found }]
  })
  const bytes = parts.reduce((sum, part) => sum + part.bytes, 0)
  return { ...one, bytes, parts }
}

async function named(cluster: ClusterAccess, name: string): Promise<Omit<Table, 'bytes'>> {
  const found = (await listed(cluster)).filter(
    ({ schema, table }) => name === `${schema}.${table}` || name === table,
  )
  const [only, ...others] = found.length > 1 ? found.filter(({ schema }) => schema === 'public') : found
  if (only !== undefined && others.length === 0) return only
  if (found.length > 1)
    throw new AdminError(409, `several schemas have a table ${name}`, 'Write schema.table.')
  throw new AdminError(
    404,
    `there is no table ${name}`,
    'See weft table list. Write schema.table for one in a schema.',
  )
}

const quoted = ({ schema, table }: Pick<Table, 'schema' | 'table'>): string =>
  [schema, table].map((part) => `"${part.replaceAll('"', '""')}"`).join('.')

export interface ShardBy {
  readonly key: string
  readonly colocate_with?: string | undefined
}

/** The name in the text of who copies, as it is written there: quoted where it has to be. */
const PART = '(?:"(?:[^"]|"")+"|[^" .(]+)'
const COPIED = `(?:FROM ONLY |^COPY )(${PART}\\.${PART})`

/** The rows of a table, as of the last ANALYZE or by what was counted since. */
const rowsOf = (table: string): string =>
  `(SELECT greatest(c.reltuples, coalesce(s.n_live_tup, 0))::bigint FROM pg_class c
      LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid WHERE c.oid = to_regclass(${table}))`

/** What leaves the home shard now: table, rows that have left, rows that there are. */
const MOVES = `
WITH m AS (
  SELECT p.tuples_processed AS moved, substring(a.query FROM ${literal(COPIED)}) AS name
    FROM pg_stat_progress_copy p JOIN pg_stat_activity a USING (pid) WHERE p.command = 'COPY TO')
SELECT name, moved, ${rowsOf('name')} FROM m WHERE name IS NOT NULL`

/** How far a declaration of the table is: what has left the home shard, of the rows that it had at the last ANALYZE. */
export async function progress(cluster: ClusterAccess, name: string): Promise<Progress> {
  const table = literal(quoted(await named(cluster, name)))
  const [row] = await cluster.onShard(
    0,
    `SELECT (SELECT sum(moved) FROM (${MOVES}) o (name, moved, total) WHERE to_regclass(name) = to_regclass(${table})), ${rowsOf(table)}`,
  )
  const [moved, rows] = [row?.[0], Number(row?.[1] ?? 0)]
  return { rows_moved: moved == null ? null : Number(moved), rows: rows > 0 ? rows : null }
}

/** Tables whose rows leave the home shard now, as they become sharded or reference tables. */
export async function moves(cluster: ClusterAccess): Promise<Move[]> {
  const rows = await cluster.onShard(0, `${MOVES} ORDER BY name`)
  return rows.map(([table, moved, all]) => {
    const total = Number(all ?? 0)
    return { table: table ?? '', rows_moved: Number(moved), rows: total > 0 ? total : null }
  })
}

/** In one transaction: its rows are moved, or nothing is changed. It goes on for as long as it takes, and somebody waits. */
export async function distribute(
  cluster: ClusterAccess,
  name: string,
  by: ShardBy,
  signal: AbortSignal,
): Promise<Change> {
  const one = await named(cluster, name)
  const args = [literal(quoted(one)), literal(by.key)]
  if (by.colocate_with !== undefined)
    args.push(`colocate_with => ${literal(quoted(await named(cluster, by.colocate_with)))}`)
  await cluster.query(`SELECT create_distributed_table(${args.join(', ')})`, [], { limitMs: 0, signal })
  return { done: true, what: `table ${one.schema}.${one.table} is sharded by ${by.key}` }
}

export async function declare(
  cluster: ClusterAccess,
  name: string,
  kind: 'reference' | 'local',
  signal: AbortSignal,
): Promise<Change> {
  const one = await named(cluster, name)
  const call = kind === 'reference' ? 'create_reference_table' : 'undistribute_table'
  await cluster.query(`SELECT ${call}(${literal(quoted(one))})`, [], { limitMs: 0, signal })
  return { done: true, what: `table ${one.schema}.${one.table} is a ${kind} table` }
}

export async function shards(cluster: ClusterAccess): Promise<Shard[]> {
  const [slots, all, parts, statuses] = await Promise.all([
    cluster.query('SELECT shard, slots, slot_ranges FROM weft.shards'),
    listed(cluster),
    allParts(cluster),
    statusesOf(cluster),
  ])
  const sharded = all
    .filter(({ kind }) => kind === 'sharded')
    .map(({ schema, table }) => `${schema}.${table}`)
  const bytes = parts.map(
    (part) => part && sharded.reduce((sum, name) => sum + (part.get(name)?.bytes ?? 0), 0),
  )
  const total = bytes.reduce<number>((sum, some) => sum + (some ?? 0), 0)
  return statuses.map((status, shard) => {
    const own = slots.find((row) => row.shard === shard)
    const share = Number(own?.slots ?? 0) / SLOTS
    const size = bytes[shard]
    return {
      ...stateOf(status),
      slots: Number(own?.slots ?? 0),
      slot_share: round(share),
      slot_ranges: String(own?.slot_ranges ?? ''),
      bytes: size ?? null,
      skew: size === undefined || total === 0 || share === 0 ? null : round(size / (total * share)),
      pool_size: status.poolSize ?? 0,
      problems: [...(status.problems ?? [])],
    }
  })
}

const SLOTS = 4096
const round = (value: number): number => Math.round(value * 1000) / 1000
