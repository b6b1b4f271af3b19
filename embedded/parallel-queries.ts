import { availableParallelism } from 'node:os'

/** What Postgres itself allows a query, and the building of an index. */
const postgresDefault = 2

/**
 * Settings of `servers` Postgres servers that share the cores of this machine: as many processes work on a query over all
 * of them as there are cores. By default Postgres gives each such query two parallel workers on every server. On two
 * cores with three shards these nine processes take two to three times as long as three do.
 */
export function parallelQueries(servers: number, cores = availableParallelism()): Record<string, string> {
  const workers = Math.max(0, Math.min(postgresDefault, Math.floor(cores / servers) - 1))
  return {
    max_parallel_workers_per_gather: String(workers),
    max_parallel_maintenance_workers: String(workers),
  }
}
