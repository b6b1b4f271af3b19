import type { ShardStatus } from './node-status.ts'
import type { Overview } from './schemas.ts'

type State = Omit<Overview['shards'][number], 'standbys' | 'lag_bytes' | 'lag_seconds'>

/** What the API tells of a shard by what its agent says; of one that does not answer, why. */
export function stateOf(status: ShardStatus): State {
  const { shard, up, error, serverVersion = '', busy = 0, idle = 0, waiting = 0, prepared = 0 } = status
  const told = { shard, up, server_version: serverVersion, busy, idle, waiting, prepared }
  return error === undefined ? told : { ...told, error }
}
