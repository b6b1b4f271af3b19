import { type ClusterAccess, shardsOf, statusesOf } from '../cluster-access.ts'
import type { ShardStatus } from './node-status.ts'
import type { Overview, Session } from './schemas.ts'
import { sessions } from './sessions.ts'
import { stateOf } from './shard-state.ts'
import { transactions } from './transactions.ts'

const LAG = `
SELECT count(*), max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn))::bigint, extract(epoch FROM max(replay_lag))
  FROM pg_stat_replication WHERE state <> 'backup'`

const RECORDS_MAX = 1_000

type Lag = Pick<Overview['shards'][number], 'standbys' | 'lag_bytes' | 'lag_seconds'>

/** The cluster at a glance: its nodes, the lag of standbys, what is in doubt. What does not answer is told as not known. */
export async function overview(cluster: ClusterAccess): Promise<Overview> {
  const [statuses, lags, all, prepared, records] = await Promise.all([
    statusesOf(cluster),
    Promise.all(shardsOf(cluster).map((shard) => lagOf(cluster, shard))),
    known(sessions(cluster)),
    known(transactions(cluster)),
    known(cluster.records(RECORDS_MAX)),
  ])
  return {
    at: new Date().toISOString(),
    coordinators: coordinatorsOf(statuses),
    shards: statuses.map((status, shard) => ({ ...stateOf(status), ...lags[shard]! })),
    sessions: all === null ? null : counted(all),
    in_doubt: {
      transactions: prepared?.length ?? null,
      oldest_seconds: prepared?.length ? Math.max(...prepared.map((one) => one.age_seconds)) : null,
      problems: statuses.reduce((sum, { problems }) => sum + (problems?.length ?? 0), 0),
    },
    log: { records: records?.length ?? null },
  }
}

/** Null when it cannot be asked for: the rest is told all the same. */
const known = <T>(asked: Promise<T>): Promise<T | null> => asked.catch(() => null)

function counted(all: readonly Session[]): Overview['sessions'] {
  const having = (state: string): number => all.filter((one) => one.state?.startsWith(state) === true).length
  return { all: all.length, active: having('active'), in_transaction: having('idle in transaction') }
}

function coordinatorsOf(statuses: readonly ShardStatus[]): Overview['coordinators'] {
  const ids = [...new Set(statuses.flatMap(({ coordinators }) => coordinators ?? []))].sort()
  return ids.map((id) => ({
    id,
    shards: statuses.filter(({ coordinators }) => coordinators?.includes(id)).map(({ shard }) => shard),
  }))
}

async function lagOf(cluster: ClusterAccess, shard: number): Promise<Lag> {
  try {
    const [[standbys, bytes, seconds] = []] = await cluster.onShard(shard, LAG)
    const number = (value: string | null | undefined): number | null => (value == null ? null : Number(value))
    return { standbys: number(standbys), lag_bytes: number(bytes), lag_seconds: number(seconds) }
  } catch {
    return { standbys: null, lag_bytes: null, lag_seconds: null }
  }
}
