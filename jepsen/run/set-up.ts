import { spawnSync } from 'node:child_process'
import { cpSync } from 'node:fs'
import { release, type } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import weft from '../../package.json' with { type: 'json' }
import type { Isolation } from '../check/verdict.ts'
import type { Cluster } from '../cluster/cluster.ts'
import { etcdVersion } from '../cluster/etcd.ts'
import { query } from '../cluster/query.ts'
import { root } from '../cluster/root.ts'
import type { Endpoint } from './clients.ts'

const SCHEMA = 'jepsen'

/** What every session says first. */
export const inSchema = `SET search_path = ${SCHEMA}`

/** What is done before a run, and kept after it. */
export const setUp = { isWeft, tables, setting, isolation, keepLogs }

async function isWeft([first]: readonly Endpoint[]): Promise<boolean> {
  const rows = await query(first?.url ?? '', 'SHOW weft.consistent_reads').catch(() => [])
  return rows.length === 1
}

/** Everything lies in a schema of its own, which each run makes anew: no table of anybody's is in the way. */
async function tables([first]: readonly Endpoint[], statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: first?.url ?? '', connectionTimeoutMillis: 10_000 })
  client.on('error', () => undefined)
  await client.connect()
  try {
    await client.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE`)
    await client.query(`CREATE SCHEMA ${SCHEMA}`)
    await client.query(inSchema)
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}

/** `name=value` as a statement. */
function setting(text: string): string {
  const at = text.indexOf('=')
  return `SET ${text.slice(0, at)} = '${text.slice(at + 1).replaceAll("'", "''")}'`
}

/** Also of statements that are transactions by themselves. */
function isolation(level: Isolation): string {
  return `SET default_transaction_isolation = '${level}'`
}

/** Of a run that went wrong: what the nodes have said. */
function keepLogs(from: string, to: string): void {
  cpSync(join(from, 'logs'), join(to, 'logs'), { recursive: true })
}

/** Of what took part. */
export async function versionsOf(
  [first]: readonly Endpoint[],
  cluster: Pick<Cluster, 'log' | 'shardUrls'> | undefined,
): Promise<Record<string, string>> {
  const version = async (url: string): Promise<string> => {
    const [row] = await query<{ version: string }>(url, 'SELECT version()').catch(() => [])
    return row?.version.split(' on ')[0] ?? 'unknown'
  }
  const endpoint = await version(first?.url ?? '')
  if (cluster === undefined) return { node: process.version, endpoint }
  return {
    weft: `${weft.version}, commit ${commit()}`,
    endpoint,
    postgres: await version(cluster.shardUrls[0] ?? ''),
    ...(cluster.log === 'etcd' ? { etcd: etcdVersion() } : {}),
    node: process.version,
    kernel: `${type()} ${release()}`,
  }
}

/** Of the checkout; "changed" when it has what no commit has. */
function commit(): string {
  const git = (...args: string[]): string =>
    spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout?.trim() ?? ''
  const head = git('rev-parse', '--short=12', 'HEAD')
  if (head === '') return 'unknown'
  return git('status', '--porcelain', '--untracked-files=no') === '' ? head : `${head}, changed`
}
