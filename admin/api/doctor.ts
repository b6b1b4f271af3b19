import { type ClusterAccess, shardsOf } from '../cluster-access.ts'
import { misfits, ROOM_SETTINGS } from '../pool-room.ts'
import type { Finding } from './schemas.ts'

/** Looks at every server of the cluster for what will hurt, and says what to do. Changes nothing. */
export async function doctor(cluster: ClusterAccess): Promise<Finding[]> {
  const looked = await Promise.all(shardsOf(cluster).map((shard) => lookAt(cluster, shard)))
  const reached = looked.flatMap(({ facts }, shard) => (facts === undefined ? [] : [{ shard, facts }]))
  return [...looked.flatMap(({ findings }) => findings), ...versions(reached), ...drift(reached)]
}

interface Facts {
  readonly settings: ReadonlyMap<string, string>
  /** Of sharded and reference tables: `schema.table` to its columns. */
  readonly columns: ReadonlyMap<string, string>
}

interface Reached {
  readonly shard: number
  readonly facts: Facts
}

interface Looked {
  readonly findings: readonly Finding[]
  readonly facts?: Facts
}

const error = (about: string, found: string, todo: string): Finding => ({
  severity: 'error',
  about,
  found,
  todo,
})
const warning = (about: string, found: string, todo: string): Finding => ({
  ...error(about, found, todo),
  severity: 'warning',
})

const SETTINGS = ['server_version_num', ...ROOM_SETTINGS]
const SAFE = ['fsync', 'full_page_writes', 'synchronous_commit', 'autovacuum']
const CLOCK_MS_MAX = 250
const OLD_SECONDS = 60

async function lookAt(cluster: ClusterAccess, shard: number): Promise<Looked> {
  const about = `shard ${shard}`
  const status = await cluster.status(shard)
  if (!status.up)
    return {
      findings: [
        error(about, `it cannot be reached: ${status.error ?? 'down'}`, 'Start its Postgres and its agent.'),
      ],
    }
  try {
    const settings = await settingsOf(cluster, shard)
    const findings = [
      ...misfits(settings, status.poolSize ?? 0).map(({ found, todo }) => error(about, found, todo)),
      ...safe(about, settings),
      ...(await clock(cluster, shard)),
      ...(await leftovers(cluster, shard)),
      ...(status.problems ?? []).map(({ gid, why }) =>
        error(
          about,
          `transaction ${gid} cannot be settled: ${why}`,
          'See docs/operations.md; weft txn list has the rest.',
        ),
      ),
      ...(shard === 0 ? await roles(cluster) : []),
    ]
    return { findings, facts: { settings, columns: await columnsOf(cluster, shard) } }
  } catch (reason) {
    const why = reason instanceof Error ? reason.message : String(reason)
    return { findings: [error(about, `it could not be looked at: ${why}`, 'See the log of its agent.')] }
  }
}

async function settingsOf(cluster: ClusterAccess, shard: number): Promise<ReadonlyMap<string, string>> {
  const names = [...SETTINGS, ...SAFE].map((name) => `'${name}'`).join(', ')
  // What the server has, not this session: reset_val.
  const rows = await cluster.onShard(
    shard,
    `SELECT name, reset_val FROM pg_settings WHERE name IN (${names})`,
  )
  return new Map(rows.map(([name, value]) => [name ?? '', value ?? '']))
}

function safe(about: string, settings: ReadonlyMap<string, string>): Finding[] {
  return SAFE.filter((name) => settings.get(name) === 'off').map((name) => {
    const todo = `Set ${name} to on.`
    if (name === 'synchronous_commit')
      return warning(about, 'synchronous_commit is off: a crash loses commits on one shard', todo)
    if (name === 'autovacuum')
      return warning(about, 'autovacuum is off: tables grow, and the log with them', todo)
    return error(about, `${name} is off: a crash may lose what was committed`, todo)
  })
}

/** By this node's clock; half of the way there and back is allowed for. */
async function clock(cluster: ClusterAccess, shard: number): Promise<Finding[]> {
  const sentMs = Date.now()
  const [row] = await cluster.onShard(shard, 'SELECT extract(epoch FROM clock_timestamp()) * 1000')
  const wayMs = (Date.now() - sentMs) / 2
  const offsetMs = Math.round(Math.abs(Number(row?.[0]) - (sentMs + wayMs)) - wayMs)
  if (offsetMs < CLOCK_MS_MAX) return []
  const found = `its clock and this node's differ by ${offsetMs} ms`
  return [
    warning(
      `shard ${shard}`,
      found,
      'Let NTP set the clocks. Nothing becomes wrong, but reads over several shards wait.',
    ),
  ]
}

async function leftovers(cluster: ClusterAccess, shard: number): Promise<Finding[]> {
  const rows = await cluster.onShard(
    shard,
    `SELECT gid, round(extract(epoch FROM clock_timestamp() - prepared)) FROM pg_prepared_xacts
      WHERE database = current_database() AND prepared < clock_timestamp() - interval '${OLD_SECONDS} seconds'
        AND gid NOT LIKE '%probe%' ORDER BY prepared LIMIT 20`,
  )
  return rows.map(([gid, age]) => {
    const found = `${gid} has been prepared for ${age} s, and locks its rows`
    const isOurs = gid?.startsWith('weft:') === true
    const todo = isOurs
      ? `weft txn resolve ${gid?.split(':')[2]}`
      : "It is not Weft's: COMMIT PREPARED or ROLLBACK PREPARED it."
    return warning(`shard ${shard}`, found, todo)
  })
}

async function roles(cluster: ClusterAccess): Promise<Finding[]> {
  const rows = await cluster.onShard(
    0,
    `SELECT rolname FROM pg_authid WHERE rolcanlogin AND rolpassword IS NULL AND rolname <> current_user ORDER BY 1 LIMIT 20`,
  )
  return rows.map(([name]) => {
    const found = `role ${name} can log in and has no password: only a trust rule lets it in, and that lets everybody in`
    return warning('roles', found, `ALTER ROLE "${name}" PASSWORD '…' through Weft, or NOLOGIN.`)
  })
}

/** The home shard has every table; what is distributed it knows. Read there, looked for on all. */
async function columnsOf(cluster: ClusterAccess, shard: number): Promise<ReadonlyMap<string, string>> {
  const names = (await cluster.onShard(0, 'SELECT schema_name, table_name FROM weft.tables')).map(
    ([schema, table]) => `(${quote(schema)}, ${quote(table)})`,
  )
  if (names.length === 0) return new Map()
  const rows = await cluster.onShard(
    shard,
    `SELECT n.nspname || '.' || c.relname,
            string_agg(format('%s %s%s', a.attname, format_type(a.atttypid, a.atttypmod),
              CASE WHEN a.attnotnull THEN ' not null' END), ', ' ORDER BY a.attname)
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE (n.nspname, c.relname) IN (${names.join(', ')}) AND c.relkind IN ('r', 'p') GROUP BY 1`,
  )
  return new Map(rows.map(([name, columns]) => [name ?? '', columns ?? '']))
}

const quote = (text: string | null | undefined): string => `'${(text ?? '').replaceAll("'", "''")}'`

function versions(reached: readonly Reached[]): Finding[] {
  const majors = reached.map(({ facts }) =>
    Math.floor(Number(facts.settings.get('server_version_num')) / 10_000),
  )
  if (new Set(majors).size < 2) return []
  const found = `the shards run different versions of Postgres: ${majors.join(', ')}`
  return [
    warning(
      'servers',
      found,
      'Statements over several shards may differ by version: upgrade the older ones.',
    ),
  ]
}

function drift(reached: readonly Reached[]): Finding[] {
  const home = reached.find(({ shard }) => shard === 0)
  if (home === undefined) return []
  return [...home.facts.columns].flatMap(([name, columns]) =>
    reached.flatMap(({ shard, facts }) => {
      const there = facts.columns.get(name)
      if (there === columns) return []
      const found =
        there === undefined
          ? `shard ${shard} has no table ${name}`
          : `table ${name} has other columns on shard ${shard} (${there}) than on shard 0 (${columns})`
      return [
        error(
          `table ${name}`,
          found,
          'Somebody changed it past Weft: make it the same again on that server.',
        ),
      ]
    }),
  )
}
