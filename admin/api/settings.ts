import type { ClusterAccess } from '../cluster-access.ts'
import type { Settings } from './schemas.ts'

/** Of a shard's Postgres: what is lost in a crash, how much fits, and who is let in. */
const SERVER_SETTINGS = [
  ...[
    'server_version',
    'cluster_name',
    'max_connections',
    'max_prepared_transactions',
    'fsync',
    'synchronous_commit',
  ],
  ...[
    'full_page_writes',
    'wal_level',
    'synchronous_standby_names',
    'shared_buffers',
    'work_mem',
    'effective_cache_size',
  ],
  ...[
    'max_parallel_workers_per_gather',
    'max_pred_locks_per_transaction',
    'autovacuum',
    'statement_timeout',
    'lock_timeout',
  ],
  ...[
    'deadlock_timeout',
    'password_encryption',
    'ssl',
    'timezone',
    'lc_collate',
    'default_transaction_isolation',
  ],
]

const ASK = `SELECT name, current_setting(name) FROM pg_catalog.pg_settings
  WHERE name IN (${SERVER_SETTINGS.map((name) => `'${name}'`).join(', ')})`

export async function settingsOf(node: object, cluster: ClusterAccess | undefined): Promise<Settings> {
  const shards = Array.from({ length: cluster?.shardCount ?? 0 }, (_, shard) => shard)
  const servers = await Promise.all(
    shards.map(async (shard) => {
      try {
        const rows = (await cluster?.onShard(shard, ASK)) ?? []
        const found = new Map(rows.map(([name, value]) => [name ?? '', value ?? '']))
        const settings = SERVER_SETTINGS.flatMap((name) =>
          found.has(name) ? [[name, found.get(name)!]] : [],
        )
        return { shard, settings: Object.fromEntries(settings) as Record<string, string> }
      } catch (error) {
        return { shard, error: (error as Error).message, settings: {} }
      }
    }),
  )
  return { node: withoutSecrets(node) as Settings['node'], servers }
}

const HIDDEN = '(hidden)'
const SECRET = /token$|password|secret/i

/** A copy that can be shown: no tokens, no passwords, also none in URLs. */
export function withoutSecrets(value: unknown): unknown {
  if (typeof value === 'string') return withoutPassword(value)
  if (Array.isArray(value)) return value.map(withoutSecrets)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      SECRET.test(name) && typeof inner === 'string' ? HIDDEN : withoutSecrets(inner),
    ]),
  )
}

function withoutPassword(text: string): string {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return text
  // What is no URL may be anything: an address with a password that was mistyped.
  if (!URL.canParse(text)) return HIDDEN
  const url = new URL(text)
  if (url.password !== '') url.password = 'hidden'
  for (const name of [...url.searchParams.keys()]) if (SECRET.test(name)) url.searchParams.set(name, 'hidden')
  return url.password === 'hidden' || /hidden/.test(url.search) ? url.href : text
}
