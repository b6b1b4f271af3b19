import { connect } from 'node:net'
import pg from 'pg'
import { afterEach, beforeAll } from 'vitest'
import { cancelRequest } from '../../protocol/wire/frontend-messages.ts'
import type { TestCluster, TestClusterOptions } from './cluster.ts'
import { useTestCluster } from './cluster.ts'
import { query } from './postgres.ts'

export interface Accounts {
  readonly cluster: TestCluster
  /** The `n`th account on a shard. */
  on(shard: number, n?: number): number
  /** A session that is closed when the test ends. */
  connect(): Promise<pg.Client>
  /** Ends all sessions that `connect` opened but this one. */
  endAllBut(client: pg.Client): Promise<void>
  /** Runs a statement on a shard's own server. */
  direct<T extends pg.QueryResultRow>(shard: number, sql: string): Promise<T[]>
  /** What `/api/status` says. */
  status(): Promise<Status>
  /** Resolves once nothing of any client is left: no transaction, no backend, no ticket, no lock. */
  quiet(): Promise<void>
}

export interface Status {
  readonly openTransactions: number
  readonly waitingTransactions: number
  readonly pinnedSessions: number
  readonly deadlockVictims: number
  readonly shards: readonly { readonly busy: number; readonly waiting: number; readonly prepared: number }[]
}

export const PER_SHARD = 20

/** A cluster with table `account (id, amount)`: 20 rows of amount 100 on each shard, restored before each test's use. */
export function useAccounts(options: TestClusterOptions = {}): Accounts {
  const cluster = useTestCluster(options)
  const clients = new Set<pg.Client>()
  const ids: number[][] = []
  const accounts: Accounts = {
    get cluster() {
      return cluster.current
    },
    on: (shard, n = 0) => ids[shard]![n]!,
    connect: async () => {
      const client = new pg.Client({ connectionString: cluster.current.weftUrl })
      client.on('error', () => {})
      await client.connect()
      clients.add(client)
      return client
    },
    endAllBut: async (client) => {
      const others = [...clients].filter((other) => other !== client)
      for (const other of others) clients.delete(other)
      await Promise.all(others.map((other) => other.end()))
    },
    direct: async <T extends pg.QueryResultRow>(shard: number, sql: string) =>
      (await query(cluster.current.weft.shards[shard]!.url, sql)) as T[],
    status: async () =>
      (await fetch(`${cluster.current.weft.adminUrl}/api/status`)).json() as Promise<Status>,
    quiet: () => quiet(accounts),
  }
  beforeAll(() => fill(accounts, ids))
  afterEach(async () => {
    await Promise.all([...clients].map((client) => client.end()))
    clients.clear()
  })
  return accounts
}

async function fill(accounts: Accounts, ids: number[][]): Promise<void> {
  const { cluster } = accounts
  await query(
    cluster.weftUrl,
    `CREATE TABLE account (id int PRIMARY KEY, amount int) WITH (shard_key = 'id')`,
  )
  await query(cluster.weftUrl, 'INSERT INTO account SELECT i, 100 FROM generate_series(1, 200) i')
  for (const shard of cluster.weft.shards.keys()) {
    const rows = await accounts.direct<{ id: number }>(shard, 'SELECT id FROM account ORDER BY id')
    ids[shard] = rows.slice(0, PER_SHARD).map((row) => row.id)
  }
  const kept = ids.flat().join()
  await query(cluster.weftUrl, `DELETE FROM account WHERE id NOT IN (${kept})`)
}

/** A guard against hanging. */
const QUIET_MS_MAX = 30_000

async function quiet(accounts: Accounts): Promise<void> {
  const deadlineMs = performance.now() + QUIET_MS_MAX
  for (;;) {
    const left = await whatIsLeft(accounts)
    if (left.length === 0) return
    if (performance.now() > deadlineMs) throw new Error(`not quiet: ${left.join('; ')}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function whatIsLeft(accounts: Accounts): Promise<string[]> {
  const left: string[] = []
  const { openTransactions, waitingTransactions, pinnedSessions, shards } = await accounts.status()
  if (openTransactions + waitingTransactions + pinnedSessions > 0) {
    left.push(`transactions ${openTransactions}, waiting ${waitingTransactions}, pins ${pinnedSessions}`)
  }
  for (const [shard, { busy, waiting, prepared }] of shards.entries()) {
    if (busy + waiting + prepared > 0) left.push(`shard ${shard}: ${JSON.stringify(shards[shard])}`)
    const inside = await accounts.direct<{ state: string; query: string }>(
      shard,
      `SELECT state, query FROM pg_stat_activity
       WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND xact_start IS NOT NULL`,
    )
    for (const { state, query: sql } of inside) left.push(`shard ${shard} ${state}: ${sql}`)
  }
  return left
}

/** Resolves once so many backends of a shard wait for a lock. */
export async function lockWaiters(accounts: Accounts, shard: number, count: number): Promise<void> {
  for (;;) {
    const rows = await accounts.direct<{ n: number }>(
      shard,
      'SELECT count(DISTINCT pid)::int AS n FROM pg_locks WHERE NOT granted',
    )
    if (rows[0]!.n >= count) return
  }
}

/** Resolves once a backend of any shard waits for a lock. */
export async function lockWaiterAnywhere(accounts: Accounts): Promise<void> {
  for (;;) {
    for (const shard of accounts.cluster.weft.shards.keys()) {
      const rows = await accounts.direct(shard, 'SELECT FROM pg_locks WHERE NOT granted')
      if (rows.length > 0) return
    }
  }
}

/** Resolves once somebody has locked a row of a shard. */
export async function rowTaken(accounts: Accounts, shard: number, id: number): Promise<void> {
  const free = `SELECT 1 FROM account WHERE id = ${id} FOR UPDATE SKIP LOCKED`
  while ((await accounts.direct(shard, free)).length > 0);
}

/** A cancel request for what the client runs; resolves when it was taken. */
export function cancel(accounts: Accounts, client: pg.Client): Promise<void> {
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number }
  const secret = Buffer.alloc(4)
  secret.writeInt32BE(secretKey | 0)
  const { port, host } = accounts.cluster.weft
  const socket = connect(port, host)
  socket.on('connect', () => socket.write(cancelRequest(processID, secret)))
  return new Promise((done, fail) => {
    socket.once('close', () => done()).once('error', fail)
    socket.resume()
  })
}

export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'ok'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}
