import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { createLogger } from '../../admin/logger.ts'
import { startDevCluster } from '../../embedded/dev-cluster.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../embedded/embedded-postgres.ts'
import { postgres15 } from './sources.ts'

export const database = 'regression'

export interface RunningTarget {
  readonly port: number
  stop(): Promise<void>
}

/** A throw-away server need not survive a power cut. The plain one and the shards are alike. */
const settings = {
  fsync: 'off',
  synchronous_commit: 'on',
  full_page_writes: 'off',
  shared_buffers: '128MB',
  max_connections: '60',
}

export async function startPlain(dir: string, name = 'plain'): Promise<RunningTarget> {
  return startServer(dir, name)
}

/** Weft in this process, over servers of its own. */
export async function startWeft(dir: string, shards: number, port: number): Promise<RunningTarget> {
  const ids = Array.from({ length: shards }, (_, id) => `shard-${id}`)
  const servers = await Promise.all(ids.map((name) => startServer(dir, name)))
  const weft = await startDevCluster({
    ...{ port, adminPort: 0, dataDir: join(dir, 'weft'), poolSize: 30 },
    servers: servers.map((server) => server.url),
    logger: createLogger({ level: 'error' }),
  })
  return {
    port: weft.port,
    stop: async () => {
      await weft.stop()
      await Promise.all(servers.map((server) => server.stop('immediate')))
    },
  }
}

async function startServer(dir: string, name: string): Promise<EmbeddedPostgres> {
  mkdirSync(dir, { recursive: true })
  chmodSync(dir, 0o755)
  const dataDir = join(dir, name)
  const server = await startEmbeddedPostgres({ dataDir, database, settings, binDir: postgres15.bin })
  await prepareDatabase(server.url)
  return server
}

/** As pg_regress makes its database. */
async function prepareDatabase(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const values = {
    ...{ lc_messages: 'C', lc_monetary: 'C', lc_numeric: 'C', lc_time: 'C' },
    ...{ bytea_output: 'hex', timezone_abbreviations: 'Default' },
  }
  try {
    for (const [name, value] of Object.entries(values)) {
      await client.query(`ALTER DATABASE ${database} SET ${name} TO '${value}'`)
    }
  } finally {
    await client.end()
  }
}
