import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { createLogger } from '../../admin/logger.ts'
import type { AuthRule } from '../../cluster/config.ts'
import { type DevCluster, startDevCluster } from '../../embedded/dev-cluster.ts'
import { initdbTemplate } from './initdb-template.ts'
import { query, startPostgres, type TestPostgres } from './postgres.ts'

export interface TestClusterOptions {
  /** Default 3. */
  readonly shards?: number
  readonly poolSize?: number
  readonly auth?: readonly AuthRule[]
  readonly memory?: { readonly nodeMb: number; readonly sessionMb: number }
  /** Program of the thread that plans long texts; default: none. */
  readonly textProgram?: URL
  /** Log lines of the cluster's process; default: warnings and errors. */
  readonly logLevel?: string
}

export interface TestCluster {
  readonly weft: DevCluster
  /** One Postgres 18 without shards, which the cluster is compared with. */
  readonly plain: TestPostgres
  readonly weftUrl: string
  readonly plainUrl: string
  stop(): Promise<void>
}

/** Throw-away servers need not survive a power cut. */
const fast = {
  shared_buffers: '16MB',
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  autovacuum: 'off',
}

/** A whole cluster in this process on free ports, and one plain Postgres beside it. */
export async function startTestCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  const root = await mkdtemp(join(tmpdir(), 'weft-cluster-'))
  // As root the servers run as somebody else, who must be able to get in.
  await chmod(root, 0o755)
  const template = await initdbTemplate()
  const [weft, plain] = await Promise.all([
    startDevCluster({
      shards: options.shards ?? 3,
      port: 0,
      adminPort: 0,
      dataDir: join(root, 'data'),
      logger: createLogger({ level: options.logLevel ?? 'warn' }),
      postgresSettings: fast,
      postgresTemplate: template,
      ...(options.poolSize === undefined ? {} : { poolSize: options.poolSize }),
      ...(options.memory === undefined ? {} : { memory: options.memory }),
      ...(options.textProgram && { textProgram: options.textProgram }),
      ...(options.auth === undefined ? {} : { auth: options.auth }),
    }),
    startPostgres({ settings: fast }),
  ])
  return {
    weft,
    plain,
    weftUrl: `postgres://postgres@${weft.host}:${weft.port}/postgres`,
    plainUrl: plain.url,
    stop: async () => {
      await Promise.all([weft.stop(), plain.stop()])
      await rm(root, { recursive: true, force: true })
    },
  }
}

/** The cluster of a test file: started before its first test, stopped after its last. */
export function useTestCluster(options: TestClusterOptions = {}): { readonly current: TestCluster } {
  let cluster: TestCluster | undefined
  beforeAll(async () => {
    cluster = await startTestCluster(options)
  })
  afterAll(() => cluster?.stop())
  return {
    get current() {
      if (cluster === undefined) throw new Error('the cluster runs in tests and hooks only')
      return cluster
    },
  }
}

/**
 * Creates the same table on both, and the one on Weft sharded. `ddl` is a whole CREATE TABLE statement without WITH.
 */
export async function createTwins(
  cluster: TestCluster,
  ddl: string,
  options: { readonly shard_key?: string; readonly colocate_with?: string; readonly reference?: boolean },
): Promise<void> {
  const words = Object.entries(options).map(([name, value]) => `${name} = '${value}'`)
  await query(cluster.plainUrl, ddl)
  const suffix = words.length === 0 ? '' : ` WITH (${words.join(', ')})`
  await query(cluster.weftUrl, `${ddl}${suffix}`)
}
