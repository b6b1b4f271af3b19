import pg from 'pg'
import type { Mode } from './lines.ts'
import type { Target } from './pgbench.ts'

export type SystemName = 'plain' | 'pgbouncer' | 'weft'

/** Something that pgbench can be pointed at: a column of the table. */
export interface System {
  readonly name: SystemName
  readonly title: string
  readonly target: Target
  /** What it can do. */
  readonly modes: readonly Mode[]
  /** The processes whose CPU time is reported: what stands between client and Postgres. */
  readonly pids: readonly number[]
  /** Where they tell their metrics. */
  readonly adminUrls?: readonly string[]
  stop(): Promise<void>
}

/** Runs `work` on a connection of its own. */
export async function withClient<T>(
  where: Target | string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client(typeof where === 'string' ? { connectionString: where } : where)
  // A lost connection also rejects the query that is under way; without one it is of no interest.
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
