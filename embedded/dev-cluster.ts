import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { NodeStatus } from '../admin/api/node-status.ts'
import type { Logger } from '../admin/logger.ts'
import { Metrics } from '../admin/metrics.ts'
import { startAdmin } from '../admin/server.ts'
import { type AuthRule, type ClusterConfig, sameServer } from '../cluster/config.ts'
import { isPostgresUrl } from '../cluster/config-schema.ts'
import { SetupError } from '../errors/setup-error.ts'
import { type Cleanup, startOrCleanUp } from './cleanup.ts'
import { type ComposedNode, composeNode } from './compose.ts'
import {
  checkMeta,
  checkShards,
  type DataDir,
  type DataDirMeta,
  openDataDir,
  placeDataDir,
} from './data-dir.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.ts'
import { parseLog } from './log.ts'
import { parallelQueries } from './parallel-queries.ts'
import { assertPortFree } from './ports.ts'
import { embeddedMajor } from './postgres-binaries.ts'

export interface DevClusterOptions {
  /** Default: as many as the data directory has, or 3. */
  readonly shards?: number | undefined
  /** 0 picks a free one. */
  readonly port: number
  readonly adminPort: number
  /** Where clients are listened to; the admin server is on loopback always. Default 127.0.0.1. */
  readonly host?: string
  /** Of the superuser of embedded servers; clients then have to know it. Default: everyone gets in. */
  readonly password?: string
  readonly dataDir: string
  /** `postgres` or `etcd:http://a,http://b`. Default: what the data directory has, or `postgres`. */
  readonly log?: string | undefined
  /** Delete the data directory's content first. */
  readonly fresh?: boolean
  /** URLs of servers that run already, in place of embedded ones; shard 0 first. */
  readonly servers?: readonly string[]
  readonly logger: Logger
  /** Postgres connections to each shard. */
  readonly poolSize?: number
  /** Statements that take so many milliseconds are told in the log. */
  readonly logMinDuration?: number
  /** Who may log in, and how. Default: everyone who can reach the loopback port. */
  readonly auth?: readonly AuthRule[]
  /** PEM; offered to clients that ask for TLS. Default: none. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** What clients may make it keep. Default: by what the machine has. */
  readonly memory?: ClusterConfig['coordinator']['memory']
  /** See CoordinatorPartOptions. */
  readonly textProgram?: URL
  /** Settings of the embedded Postgres servers, on top of Weft's own. */
  readonly postgresSettings?: Readonly<Record<string, string>>
  /** What their new data directories are copies of, in place of initdb. */
  readonly postgresTemplate?: string
  /** Ends a start that is under way; it then rejects. */
  readonly signal?: AbortSignal
}

export interface DevShard {
  readonly id: number
  readonly url: string
  /** Absent for a server given by URL. */
  readonly server?: EmbeddedPostgres
}

export interface DevCluster {
  readonly host: string
  readonly port: number
  readonly adminUrl: string
  readonly dataDir: string
  readonly shards: readonly DevShard[]
  stop(): Promise<void>
}

const loopback = '127.0.0.1'
export const defaultShards = 3
export const defaultPoolSize = 40

/** A whole cluster in this process: Postgres servers, their agents, one coordinator and the admin server. */
export function startDevCluster(options: DevClusterOptions): Promise<DevCluster> {
  return startOrCleanUp(options.logger, (cleanup) => start(options, cleanup))
}

async function start(options: DevClusterOptions, cleanup: Cleanup): Promise<DevCluster> {
  const { logger, port, adminPort, host = loopback } = options
  const dir = await takeDataDir(options, cleanup)
  await assertPortFree(host, port, 'clients', '--port')
  await assertPortFree(loopback, adminPort, 'admin', '--admin-port')

  const meta = decideMeta(options, dir)
  const shards = await startShards(options, dir, meta, cleanup)
  options.signal?.throwIfAborted()
  const metrics = new Metrics()
  const node = await composeNode(
    {
      cluster: meta.cluster,
      database: databaseOf(shards[0]!.url),
      listen: { host, port },
      listenSetting: '--port',
      shards: shards.map((shard) => ({ id: shard.id, postgres: agentUrl(shard) })),
      shardCount: shards.length,
      shardSetting: '--shard',
      homeUrl: agentUrl(shards[0]!),
      log: parseLog(meta.log),
      auth: options.auth ?? [
        { from: ['all'], method: options.password === undefined ? 'trust' : 'scram-sha-256' },
      ],
      ...(options.tls && { tls: options.tls }),
      sessionsMax: 1000,
      ...(options.logMinDuration === undefined ? {} : { logMinDurationMs: options.logMinDuration }),
      ...(options.memory === undefined ? {} : { memory: options.memory }),
      ...(options.textProgram && { textProgram: options.textProgram }),
      pool: { size: options.poolSize ?? defaultPoolSize, waitTimeoutMs: 10_000 },
      maxClockOffsetMs: 500,
      inDoubtAfterMs: 1000,
      takeoverTimeoutMs: 3000,
      logger,
      metrics,
      signal: options.signal,
    },
    cleanup,
  )
  await setPassword(node, shards, options.password)
  const admin = await startAdmin({
    host: loopback,
    port: adminPort,
    metrics,
    notReady: () => node.notReady(),
    status: () => devStatus(node, dir.path),
    portSetting: '--admin-port',
    cluster: () => node.operator,
    settings: devSettings(options, meta),
    log: logger,
  })
  cleanup.add(() => admin.stop())
  return { host, port: node.port, adminUrl: admin.url, dataDir: dir.path, shards, stop: () => cleanup.run() }
}

async function takeDataDir(options: DevClusterOptions, cleanup: Cleanup): Promise<DataDir> {
  const place = placeDataDir(options.dataDir)
  if (place.moved) {
    options.logger.info(
      `started as root: Postgres' own user may not enter ${options.dataDir}; the data is elsewhere`,
    )
  }
  const dir = await openDataDir(place.path, options.fresh ?? false)
  cleanup.add(() => dir.release())
  return dir
}

function checkServers(servers: readonly string[]): void {
  servers.forEach((url, index) => {
    if (!isPostgresUrl(url)) {
      throw new SetupError(
        `--shard ${index} is not a Postgres URL`,
        'Write --shard postgres://user:password@host:5432/database',
      )
    }
    if (servers.slice(0, index).some((other) => sameServer(other, url))) {
      throw new SetupError(
        `two --shard URLs name the same database`,
        'Give each shard a database of its own.',
      )
    }
  })
}

/** What this start is to be, checked against what the data is; written down before anything else is. */
function decideMeta(options: DevClusterOptions, dir: DataDir): DataDirMeta {
  const servers = options.servers ?? []
  checkServers(servers)
  if (servers.length > 0 && options.shards !== undefined && options.shards !== servers.length) {
    throw new SetupError(
      `--shards ${options.shards} and ${servers.length} --shard URLs`,
      'Leave --shards out: every --shard is one shard.',
    )
  }
  const meta: DataDirMeta = {
    format: 1,
    // Several may share an etcd. Servers given by URL keep what they have prepared when a data directory is deleted.
    cluster: dir.meta?.cluster ?? (servers.length > 0 ? 'weft' : `dev-${randomBytes(4).toString('hex')}`),
    shards: servers.length || (options.shards ?? dir.meta?.shards ?? defaultShards),
    servers: servers.length > 0 ? 'external' : 'embedded',
    log: options.log ?? dir.meta?.log ?? 'postgres',
  }
  parseLog(meta.log)
  checkMeta(dir, meta)
  if (meta.servers === 'embedded') checkShards(dir, embeddedMajor())
  dir.write({ ...dir.meta, ...meta })
  return meta
}

async function startShards(
  options: DevClusterOptions,
  dir: DataDir,
  meta: DataDirMeta,
  cleanup: Cleanup,
): Promise<DevShard[]> {
  if (meta.servers === 'external') return (options.servers ?? []).map((url, id) => ({ id, url }))
  let stopping = false
  const shared = parallelQueries(meta.shards)
  const startOne = async (id: number): Promise<DevShard> => {
    const dataDir = join(dir.path, `shard-${id}`)
    const log = (message: string): void => options.logger.info(message)
    const server = await startEmbeddedPostgres({
      dataDir,
      settings: { cluster_name: `weft-shard-${id}`, ...shared, ...options.postgresSettings },
      template: options.postgresTemplate,
      log,
    })
    cleanup.add(() => {
      stopping = true
      return server.stop()
    })
    void server.exited.then(() => {
      if (!stopping) options.logger.error({ shard: id }, whyEnded(id, dataDir))
    })
    return { id, url: server.url, server }
  }
  // All of them settle before a failure is reported: none may come up after the cleanup.
  const results = await Promise.allSettled(Array.from({ length: meta.shards }, (_, id) => startOne(id)))
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  dir.write({ ...meta, made: true })
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
}

function whyEnded(id: number, dataDir: string): string {
  const ended = `the Postgres of shard ${id} ended`
  if (existsSync(dataDir)) return `${ended}; see ${dataDir}/server.log, and start Weft again`
  return `${ended}: its data directory ${dataDir} is gone. Stop Weft and restore it from a backup`
}

/** On all embedded servers, whose roles are alike; those given by URL have passwords of their own. */
async function setPassword(
  node: ComposedNode,
  shards: readonly DevShard[],
  password?: string,
): Promise<void> {
  if (password === undefined) return
  const text = `ALTER ROLE CURRENT_USER PASSWORD '${password.replaceAll("'", "''")}'`
  for (const { id, server } of shards) if (server !== undefined) await node.operator.onShard(id, text)
}

function agentUrl({ url, server }: DevShard): string {
  return server?.socketUrl ?? url
}

function databaseOf(url: string): string {
  return decodeURIComponent(new URL(url).pathname.slice(1)) || 'postgres'
}

/** What was given on the command line, and what follows from it. */
function devSettings(
  { port, adminPort, poolSize, logMinDuration, servers = [] }: DevClusterOptions,
  meta: DataDirMeta,
): object {
  return {
    ...{ cluster: meta.cluster, shards: meta.shards, log: meta.log, port, adminPort, servers },
    poolSize: poolSize ?? defaultPoolSize,
    ...(logMinDuration === undefined ? {} : { logMinDuration }),
  }
}

function devStatus(node: ComposedNode, dataDir: string): NodeStatus {
  return {
    role: 'dev',
    pid: process.pid,
    uptimeSeconds: Math.round(process.uptime()),
    dataDir,
    ...node.status(),
  }
}
