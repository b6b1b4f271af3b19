import { cpSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { query } from '../cluster/query.ts'
import type { Endpoint } from './clients.ts'

const SCHEMA = 'jepsen'

/** What every session says first. */
export const inSchema = `SET search_path = ${SCHEMA}`

/** What is done before a run, and kept after it. */
export const setUp = { isWeft, tables, setting, keepLogs }

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

/** Of a run that went wrong: what the nodes have said. */
function keepLogs(from: string, to: string): void {
  cpSync(join(from, 'logs'), join(to, 'logs'), { recursive: true })
}

export async function versionsOf(
  [first]: readonly Endpoint[],
  shardUrls: readonly string[],
): Promise<Record<string, string>> {
  const version = async (url: string): Promise<string> => {
    const [row] = await query<{ version: string }>(url, 'SELECT version()').catch(() => [])
    return row?.version.split(' on ')[0] ?? 'unknown'
  }
  const versions: Record<string, string> = {
    node: process.version,
    endpoint: await version(first?.url ?? ''),
  }
  const [shard] = shardUrls
  if (shard !== undefined) versions.shards = await version(shard)
  return versions
}
