import pg from 'pg'
import { CommitDriver, type CommitDriverOptions, type Outcome } from '../../coordinator/commit/commit.ts'
import type { Admin } from '../../shard-agent/participant/prepared-list.ts'
import {
  Recovery,
  type RecoveryLimits,
  type RecoveryOptions,
} from '../../shard-agent/participant/recovery.ts'
import { HlcClock } from '../../txn/hlc.ts'
import type { TxnLog } from '../../txn/log/txn-log.ts'
import { DirectSession } from './agent-session.ts'
import { query } from './postgres.ts'

export const cluster = 'test'

/** Two shards' servers, each with one account of 100. */
export async function createAccounts(urls: readonly string[]): Promise<void> {
  for (const url of urls) {
    await query(url, 'CREATE TABLE IF NOT EXISTS account (id int PRIMARY KEY, balance int NOT NULL)')
    await query(url, 'INSERT INTO account VALUES (1, 100) ON CONFLICT (id) DO UPDATE SET balance = 100')
  }
}

export async function balances(urls: readonly string[]): Promise<number[]> {
  const rows = await Promise.all(
    urls.map((url) => query<{ balance: number }>(url, 'SELECT balance FROM account')),
  )
  return rows.map(([row]) => row?.balance ?? Number.NaN)
}

export async function preparedOn(urls: readonly string[]): Promise<number> {
  const rows = await Promise.all(
    urls.map((url) => query<{ n: number }>(url, 'SELECT count(*)::int AS n FROM pg_prepared_xacts')),
  )
  return rows.reduce((sum, [row]) => sum + (row?.n ?? 0), 0)
}

export interface Transfer {
  readonly log: TxnLog
  readonly coordinatorId: string
  readonly urls: readonly string[]
  readonly options?: Partial<CommitDriverOptions>
}

/** Moves 10 from the first shard's account to the second's. */
export async function transfer({ log, coordinatorId, urls, options }: Transfer): Promise<Outcome> {
  const clock = new HlcClock({ wallMs: Date.now, monoMs: () => performance.now(), maxOffsetMs: 500 })
  const sessions = await Promise.all(urls.map((url, shard) => DirectSession.connect(shard, url, clock)))
  const driver = new CommitDriver({ log, clock, coordinatorId, cluster, ...options })
  try {
    await sessions[0]?.sql('BEGIN; UPDATE account SET balance = balance - 10')
    await sessions[1]?.sql('BEGIN; UPDATE account SET balance = balance + 10')
    const participants = sessions.map((session, shard) => ({ shard, session }))
    return await driver.commit({ participants, readers: [] })
  } finally {
    await Promise.all(sessions.map((session) => session.end()))
  }
}

export interface TestAgent {
  readonly recovery: Recovery
  close(): Promise<void>
}

/** Recovery of one shard, on a connection of its own, that thinks nobody is connected. */
export async function startRecovery(
  shard: number,
  url: string,
  log: TxnLog,
  limits: Partial<RecoveryLimits> = {},
  more: Partial<RecoveryOptions> = {},
): Promise<TestAgent> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  const recovery = new Recovery({
    shard,
    cluster,
    log,
    admin: adminOf(client),
    agentId: `agent-${shard}`,
    isOwnerConnected: () => false,
    limits: { scanEveryMs: 50, tidyEveryMs: 100, tidyAfterMs: 0, ...limits },
    ...more,
  })
  await recovery.start()
  return {
    recovery,
    close: async () => {
      await recovery.stop()
      await client.end()
    },
  }
}

/** Statements in turn, as `Admin` wants them. */
export function adminOf(client: pg.Client): Admin {
  let turn: Promise<unknown> = Promise.resolve()
  return {
    query: (sql) => {
      const result = turn.then(async () => (await client.query<Record<string, unknown>>(sql)).rows)
      turn = result.catch(() => {})
      return result
    },
  }
}
