/** Weft as it runs on many cores: an agent for each shard and the coordinator's workers, each a process of its own. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../embedded/embedded-postgres.ts'
import { parallelQueries } from '../embedded/parallel-queries.ts'
import { type BenchChild, watched } from './child.ts'
import { freePort } from './tools.ts'
import { locator, program, untilUp, type WeftOptions, type WeftSystem } from './weft.ts'

interface AgentUp {
  readonly adminUrl: string
}

interface CoordinatorUp {
  readonly listen: string
  readonly adminUrls: readonly string[]
}

interface Running {
  readonly children: BenchChild[]
  readonly servers: EmbeddedPostgres[]
}

/** Servers as those of `weft dev`, on free ports and in new data directories. */
export async function startWeftWorkers(options: WeftOptions): Promise<WeftSystem> {
  const running: Running = { children: [], servers: [] }
  const stop = async (): Promise<void> => {
    // The coordinator first: agents have nothing under way then.
    for (const child of running.children.reverse()) await child.stop()
    await Promise.all(running.servers.map((server) => server.stop()))
  }
  try {
    return { ...(await start(options, running)), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function start(options: WeftOptions, running: Running): Promise<Omit<WeftSystem, 'stop'>> {
  const { shards, workers, dir, etcd, signal } = options
  const ids = Array.from({ length: shards }, (_, id) => id)
  const { servers } = running
  for (const id of ids) {
    const settings = { cluster_name: `weft-shard-${id}`, ...parallelQueries(shards) }
    servers.push(await startEmbeddedPostgres({ dataDir: join(dir, `shard-${id}`), settings, signal }))
  }
  const config = join(dir, 'weft.yaml')
  writeFileSync(config, stringify(await configOf(options, servers)))
  const run = <U>(args: readonly string[]): Promise<U> => {
    const child = spawn(process.execPath, [program, ...args, '--config', config], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    const kept = watched(child)
    running.children.push(kept)
    return untilUp<U>(args[0]!, child, kept, signal)
  }
  const agents = await Promise.all(ids.map((id) => run<AgentUp>(['agent', '--shard', String(id)])))
  const coordinator = await run<CoordinatorUp>(['coordinator', '--workers', String(workers)])
  const adminUrls = [...coordinator.adminUrls, ...agents.map(({ adminUrl }) => adminUrl)]
  const [host = '', port] = coordinator.listen.split(':')
  const { user, database } = servers[0]!
  return {
    name: 'weft',
    title: `Weft, ${shards} shards, ${workers} workers${etcd === undefined ? '' : ', etcd log'}`,
    target: { host, port: Number(port), user, database },
    modes: ['simple', 'prepared'],
    pids: await Promise.all(adminUrls.map(pidOf)),
    adminUrls,
    locate: locator(),
    shardUrls: servers.map(({ url }) => url),
    profile: () => Promise.reject(new Error('Profiles are of one process')),
  }
}

async function configOf(
  { poolSize, etcd }: WeftOptions,
  servers: readonly EmbeddedPostgres[],
): Promise<object> {
  const shards = []
  for (const [id, { socketUrl }] of servers.entries())
    shards.push({ id, postgres: socketUrl, agent: `127.0.0.1:${await freePort()}` })
  return {
    database: servers[0]!.database,
    shards,
    ...(etcd === undefined ? {} : { log: { kind: 'etcd', endpoints: etcd } }),
    coordinator: {
      listen: '127.0.0.1:0',
      adminListen: '127.0.0.1:0',
      auth: [{ from: '127.0.0.1', method: 'trust' }],
    },
    agent: { adminListen: '127.0.0.1:0' },
    pool: { size: poolSize },
  }
}

async function pidOf(adminUrl: string): Promise<number> {
  const answer = await fetch(`${adminUrl}/api/status`)
  return ((await answer.json()) as { pid: number }).pid
}
