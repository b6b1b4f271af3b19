import { Command } from 'commander'
import { createLogger } from '../admin/logger.ts'
import { isLoopback } from '../cluster/config-warnings.ts'
import { type DevCluster, defaultPoolSize, defaultShards, startDevCluster } from '../embedded/dev-cluster.ts'
import { SetupError } from '../errors/setup-error.ts'
import { collect, integer, port } from './arguments.ts'
import { serve } from './serve.ts'

const loopback = '127.0.0.1'

interface DevFlags {
  readonly shards?: number
  readonly port: number
  readonly adminPort: number
  readonly host: string
  readonly dataDir: string
  readonly log?: string
  readonly fresh?: boolean
  readonly shard: string[]
  readonly json?: boolean
  readonly logLevel: string
  readonly poolSize: number
  readonly logMinDuration?: number
}

export function devCommand(): Command {
  return new Command('dev')
    .description('a whole cluster in one process, on embedded Postgres')
    .option('--shards <n>', `number of shards (default: as before, or ${defaultShards})`, integer(1, 64))
    .option('--port <port>', 'port for clients', port, 6432)
    .option('--admin-port <port>', 'port for health, metrics and status', port, 6480)
    .option(
      '--host <address>',
      'where clients are listened to; other than loopback needs a password',
      loopback,
    )
    .option('--data-dir <dir>', 'where the data is kept', '.weft')
    .option('--log <log>', 'commit decisions: postgres, or etcd:http://a:2379,http://b:2379')
    .option('--fresh', 'delete the data directory first')
    .option(
      '--shard <url>',
      'use this running server (Postgres 15 to 18) as a shard; repeatable',
      collect,
      [],
    )
    .option('--pool-size <n>', 'Postgres connections to each shard', integer(10, 90), defaultPoolSize)
    .option('--log-min-duration <ms>', 'log statements that take as long as this', integer(0, 86_400_000))
    .option('--json', 'JSON lines only, for programs')
    .option('--log-level <level>', 'debug, info, warn or error', 'info')
    .action(dev)
}

async function dev(flags: DevFlags): Promise<void> {
  const json = flags.json === true
  const logger = createLogger({ level: flags.logLevel, pretty: !json })
  const { shard: servers, json: _, logLevel: __, ...rest } = flags
  const password = passwordFor(flags.host)
  await serve(
    (signal) => startDevCluster({ ...rest, ...password, servers, logger, signal }),
    (cluster) => (json ? announceJson(cluster) : announce(cluster)),
  )
}

/** Of the superuser, from the environment. */
function passwordFor(host: string): { readonly password?: string } {
  const password = process.env.WEFT_DEV_PASSWORD ?? ''
  if (password !== '') return { password }
  if (isLoopback(host)) return {}
  throw new SetupError(
    `--host ${host}: everyone who reaches it would be a superuser`,
    'Set a password for the superuser: WEFT_DEV_PASSWORD=… weft dev --host …',
  )
}

function announceJson({ host, port: clientPort, adminUrl, dataDir, shards }: DevCluster): void {
  const urls = shards.map(({ id, url }) => ({ id, url: withoutPassword(url) }))
  console.log(JSON.stringify({ event: 'up', host, port: clientPort, adminUrl, dataDir, shards: urls }))
}

function announce(cluster: DevCluster): void {
  const shards = cluster.shards.map(
    ({ id, url }, i) => `${i === 0 ? 'shards' : ''}\t${id}  ${withoutPassword(url)}`,
  )
  const lines = [
    `connect\t${connectLine(cluster)}`,
    `console\t${cluster.adminUrl}/`,
    `admin\t${cluster.adminUrl}/api/status  (/health /ready /metrics)`,
    ...shards,
    `data\t${cluster.dataDir}`,
    'stop\tCtrl-C',
  ]
  const body = lines.map((line) => {
    const [name = '', value = ''] = line.split('\t')
    return `  ${name.padEnd(9)} ${value}`
  })
  console.log(`\nWeft is up.\n\n${body.join('\n')}\n`)
}

function connectLine({ host, port: clientPort, shards }: DevCluster): string {
  const { username, pathname } = new URL(shards[0]!.url)
  const user = decodeURIComponent(username) || 'postgres'
  const database = decodeURIComponent(pathname.slice(1)) || user
  // psql's default database has the user's name.
  return `psql -h ${host} -p ${clientPort} -U ${user}${database === user ? '' : ` -d ${database}`}`
}

function withoutPassword(text: string): string {
  const url = new URL(text)
  url.password = ''
  return url.href
}
