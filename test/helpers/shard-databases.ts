import { evenSlots, slotTable } from '../../cluster/slots.ts'
import { loadCatalog, rowsOfEach } from '../../coordinator/catalog/load.ts'
import type { Catalog } from '../../sql/catalog.ts'
import { installSql } from '../../sql/install/schema.ts'
import { PgShardRunner } from './pg-shard-runner.ts'
import { query, startPostgres, type TestPostgres, type TestPostgresOptions } from './postgres.ts'

/** Several databases of one server that play the shards of a cluster, without agents and coordinators. */
export interface ShardDatabases {
  readonly server: TestPostgres
  readonly urls: readonly string[]
  readonly slots: Uint16Array
  /** The same URLs for another role. */
  as(role: string): readonly string[]
  /** One statement (or several, without parameters) on one shard. */
  on<Row extends Record<string, unknown>>(shard: number, sql: string): Promise<Row[]>
  onAll(sql: string): Promise<void>
  catalog(): Promise<Catalog>
  stop(): Promise<void>
}

export async function startShardDatabases(
  count: number,
  options: TestPostgresOptions = {},
): Promise<ShardDatabases> {
  const server = await startPostgres(options)
  const names = Array.from({ length: count }, (_, shard) => `shard${shard}`)
  for (const name of names) await query(server.url, `CREATE DATABASE ${name}`)
  const urlOf = (name: string, role?: string) => {
    const url = new URL(server.url)
    url.pathname = `/${name}`
    if (role !== undefined) url.username = role
    return url.toString()
  }
  const urls = names.map((name) => urlOf(name))
  const slots = evenSlots(count)
  await Promise.all(urls.map((url, shard) => query(url, installSql({ shard, slots }))))
  return {
    server,
    urls,
    slots: slotTable(slots),
    as: (role) => names.map((name) => urlOf(name, role)),
    on: (shard, sql) => query(urls[shard]!, sql),
    onAll: async (sql) => {
      await Promise.all(urls.map((url) => query(url, sql)))
    },
    catalog: async () => {
      const runner = new PgShardRunner([urls[0]!], { begin: '' })
      try {
        return await loadCatalog((all) => rowsOfEach(all, (sql) => runner.query(0, sql)), count)
      } finally {
        await runner.rollback()
      }
    },
    stop: () => server.stop(),
  }
}
