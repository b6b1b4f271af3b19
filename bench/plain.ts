import { join } from 'node:path'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../embedded/embedded-postgres.ts'
import { parallelQueries } from '../embedded/parallel-queries.ts'
import { type System, withClient } from './system.ts'

export interface PlainSystem extends System {
  readonly server: EmbeddedPostgres
}

/** What a shard of `weft dev` has. */
const shardBuffersMb = 64

/**
 * One Postgres with a shard's settings, all writes synced. Only its buffers are those of all shards together: it holds
 * all the data, and Weft should not look fast for having more memory. A query has as many parallel workers as the cores
 * of the machine allow one server, which is faster here than Postgres' own two.
 */
export async function startPlain(dir: string, shards: number, signal: AbortSignal): Promise<PlainSystem> {
  const server = await startEmbeddedPostgres({
    dataDir: join(dir, 'plain'),
    settings: {
      cluster_name: 'bench-plain',
      shared_buffers: `${shardBuffersMb * shards}MB`,
      ...parallelQueries(1),
    },
    signal,
  })
  const { host, port, user, database } = server
  const target = { host, port, user, database }
  const version = await withClient(target, async (client) => {
    const { rows } = await client.query<{ server_version: string }>('SHOW server_version')
    return rows[0]!.server_version
  })
  return {
    name: 'plain',
    title: `Postgres ${version}`,
    target,
    modes: ['simple', 'prepared'],
    pids: [],
    server,
    stop: () => server.stop(),
  }
}
