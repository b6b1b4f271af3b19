import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'
import { query, startPostgres, type TestPostgres } from './postgres.ts'
import { runWeft, type WeftProcess } from './weft-process.ts'

export interface TwoCoordinators {
  /** Of each coordinator, for clients. */
  readonly urls: readonly string[]
  /** Ids of table `account (id, amount)` on each shard, lowest first; the amounts are 100. */
  readonly ids: readonly (readonly number[])[]
  stop(): Promise<void>
}

/** Two coordinators over the same shards, everything a process of its own. */
export async function startTwoCoordinators(shardCount = 2): Promise<TwoCoordinators> {
  const root = mkdtempSync(join(tmpdir(), 'weft-two-'))
  const processes: WeftProcess[] = []
  const shards = await Promise.all(Array.from({ length: shardCount }, () => startPostgres()))
  const stop = async (): Promise<void> => {
    for (const { child } of processes) child.kill('SIGKILL')
    await Promise.all(processes.map(({ finished }) => finished))
    await Promise.all(shards.map((shard) => shard.stop()))
    rmSync(root, { recursive: true, force: true })
  }
  try {
    const config = join(root, 'weft.yaml')
    writeFileSync(config, await configOf(shards))
    for (const shard of shards.keys()) {
      processes.push(runWeft(['agent', '--config', config, '--shard', String(shard)]))
    }
    const coordinators = [0, 1].map(() => runWeft(['coordinator', '--config', config]))
    processes.push(...coordinators)
    const events = await Promise.all(coordinators.map((process) => process.line('{"event":"up"')))
    const urls = events.map(
      (event) => `postgres://postgres@${(JSON.parse(event) as { listen: string }).listen}/postgres`,
    )
    return { urls, ids: await fill(urls[0]!, shards), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function configOf(shards: readonly TestPostgres[]): Promise<string> {
  const ports = await Promise.all(shards.map(() => freePort()))
  const lines = [
    'shards:',
    ...shards.map(({ url }, id) => `  - { id: ${id}, postgres: "${url}", agent: "127.0.0.1:${ports[id]}" }`),
    'coordinator:',
    '  listen: 127.0.0.1:0',
    '  adminListen: 127.0.0.1:0',
    '  auth: [{ from: 127.0.0.1, method: trust }]',
    'agent: { adminListen: 127.0.0.1:0 }',
  ]
  return `${lines.join('\n')}\n`
}

async function fill(url: string, shards: readonly TestPostgres[]): Promise<number[][]> {
  await query(url, "CREATE TABLE account (id int PRIMARY KEY, amount int) WITH (shard_key = 'id')")
  await query(url, 'INSERT INTO account SELECT i, 100 FROM generate_series(1, 50) i')
  const rows = await Promise.all(
    shards.map((shard) => query<{ id: number }>(shard.url, 'SELECT id FROM account ORDER BY id')),
  )
  return rows.map((own) => own.map((row) => row.id))
}
