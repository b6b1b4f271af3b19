import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { FailpointName } from '../../txn/failpoints.ts'
import { query } from './postgres.ts'
import {
  type ProcessCluster,
  type ProcessClusterOptions,
  startProcessCluster,
  type TestNode,
  until,
} from './process-cluster.ts'

export type Fate = 'committed' | 'aborted'

/** What the client heard. Nothing, and 08007, leave both open. */
export type Answer =
  | { readonly kind: 'committed' }
  | { readonly kind: 'aborted'; readonly code: string }
  | { readonly kind: 'unknown'; readonly why: string }

export interface CrashCase {
  readonly name: string
  /** Where the commit stands still when it is struck. */
  readonly at: FailpointName
  /** Whose failpoint; default: the coordinator's. */
  readonly on?: TestNode
  readonly strike: () => Promise<void>
  /** Brings back what was struck. Begins at once; may wait for the client's answer. */
  readonly mend: (answer: Promise<Answer>) => Promise<void>
  /** What may have become of the transaction in the end. */
  readonly after: readonly Fate[]
  /** What the client may have heard; default: what is true. */
  readonly hears?: readonly Answer['kind'][]
}

/** Where a commit is struck, on which shard, and what may become of it. */
export interface ShardCase {
  readonly at: FailpointName
  readonly shard: 0 | 1
  readonly after: readonly Fate[]
}

export const bothShards = (at: FailpointName, ...after: Fate[]): ShardCase[] => [
  { at, shard: 0, after },
  { at, shard: 1, after },
]

const TEST_MS_MAX = 180_000

/**
 * The matrix of a test file, on a cluster of its own that runs from before its first test to after its last. What the
 * cases came to is printed in the end.
 */
export function useCrashMatrix(title: string, options?: ProcessClusterOptions): CrashMatrix {
  const matrix = new CrashMatrix(title)
  beforeAll(() => matrix.start(options), TEST_MS_MAX)
  afterAll(() => matrix.stop())
  return matrix
}

/** The last test of a file. */
export function testTheEnd(matrix: CrashMatrix): void {
  const title = 'in the end: no money made or lost, nothing prepared, the log is empty'
  test(title, () => matrix.checkEnd(), TEST_MS_MAX)
}

interface Result {
  readonly name: string
  readonly at: string
  readonly heard: string
  readonly fate: Fate
  readonly answerMs: number
  readonly resolvedMs: number
}

interface Pair {
  readonly from: number
  readonly to: number
}

const accounts = 400
const opening = 100
const amount = 10

/** Transfers between two shards of one cluster, each struck somewhere; what became of them is checked and kept. */
export class CrashMatrix {
  readonly results: Result[] = []
  private readonly title: string
  private running: ProcessCluster | undefined
  private pairs: Pair[] = []

  constructor(title: string) {
    this.title = title
  }

  get cluster(): ProcessCluster {
    if (this.running === undefined) throw new Error('the cluster runs in tests and hooks only')
    return this.running
  }

  async start(options?: ProcessClusterOptions): Promise<void> {
    const cluster = await startProcessCluster(options)
    this.running = cluster
    const client = await cluster.connect()
    await client.query(
      "CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL) WITH (shard_key = 'id')",
    )
    await client.query(`INSERT INTO account SELECT i, ${opening} FROM generate_series(1, ${accounts}) i`)
    await client.end()
    const [first = [], second = []] = await Promise.all(
      cluster.postgres.map(({ url }) => query<{ id: number }>(url, 'SELECT id FROM account ORDER BY id')),
    )
    this.pairs = first.flatMap(({ id }, i) => {
      const to = second[i]?.id
      return to === undefined ? [] : [{ from: id, to }]
    })
  }

  async stop(): Promise<void> {
    if (this.results.length > 0) this.print()
    await this.running?.stop()
  }

  /** Two accounts that no case has used, the first on shard 0 and the second on shard 1. */
  newPair(): Pair {
    const pair = this.pairs.shift()
    if (pair === undefined) throw new Error('no accounts left')
    return pair
  }

  async run(one: CrashCase): Promise<Result> {
    const { cluster } = this
    await cluster.startAll()
    await cluster.ready()
    const pair = this.newPair()
    const node = one.on ?? cluster.coordinator
    await node.arm(one.at, 'hold')
    const startedMs = performance.now()
    const answer = this.transfer(pair)
    const early = answer.then((heard) => {
      throw new Error(`${describe(heard)}, and ${one.at} was not reached`)
    })
    await Promise.race([node.held(one.at), early])
    early.catch(() => {})
    await one.strike()
    const struckMs = performance.now()
    const watch = this.watchPrepared()
    node.release()
    const mended = one.mend(answer)
    const heard = await answer
    const answerMs = performance.now() - struckMs
    await mended
    await until('nothing is prepared', async () => (await this.prepared()) === 0)
    const resolvedMs = Math.max(0, (await watch.lastSeenMs()) - struckMs)
    await cluster.ready()
    const fate = await this.fateOf(pair)
    this.results.push({
      name: one.name,
      at: one.at,
      heard: describe(heard),
      fate,
      answerMs: Math.round(answerMs),
      resolvedMs: Math.round(resolvedMs),
    })
    expect(startedMs).toBeLessThan(struckMs)
    expect(one.after).toContain(fate)
    if (heard.kind !== 'unknown') expect(heard.kind, describe(heard)).toBe(fate)
    if (one.hears !== undefined) expect(one.hears, describe(heard)).toContain(heard.kind)
    return this.results.at(-1) as Result
  }

  async transfer({ from, to }: Pair): Promise<Answer> {
    const client = await this.cluster.connect()
    try {
      await client.query('BEGIN')
      await client.query('UPDATE account SET balance = balance - $2 WHERE id = $1', [from, amount])
      await client.query('UPDATE account SET balance = balance + $2 WHERE id = $1', [to, amount])
      const { command } = await client.query('COMMIT')
      if (command !== 'COMMIT') throw new Error(`COMMIT was answered by ${command}`)
      return { kind: 'committed' }
    } catch (error) {
      if (!(error instanceof Error)) throw error
      const code = error instanceof pg.DatabaseError ? (error.code ?? '') : ''
      if (code === '' || code === '08007') return { kind: 'unknown', why: code || error.message }
      return { kind: 'aborted', code }
    } finally {
      await client.end().catch(() => {})
    }
  }

  /** Looks again and again, to tell when the last prepared transaction, or a shard that did not answer, was seen. */
  private watchPrepared(): { lastSeenMs(): Promise<number> } {
    let lastMs = 0
    let isOver = false
    const watching = (async () => {
      while (!isOver) {
        const count = await this.prepared().catch(() => 1)
        if (count > 0) lastMs = performance.now()
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    })()
    return {
      lastSeenMs: async () => {
        isOver = true
        await watching
        return lastMs
      },
    }
  }

  /** By Weft, on all shards; rejects when one does not answer. */
  async prepared(): Promise<number> {
    const sql = `SELECT count(*)::int AS n FROM pg_prepared_xacts WHERE gid LIKE 'weft:${this.cluster.name}:%'`
    const counts = await Promise.all(this.cluster.postgres.map(({ url }) => query<{ n: number }>(url, sql)))
    return counts.reduce((sum, [row]) => sum + (row?.n ?? 0), 0)
  }

  /** As the shards say, each asked directly, and as Weft says. */
  async fateOf({ from, to }: Pair): Promise<Fate> {
    const rows = await Promise.all(
      this.cluster.postgres.map(({ url }) =>
        query<{ id: number; balance: number }>(url, `SELECT * FROM account WHERE id IN (${from}, ${to})`),
      ),
    )
    const client = await this.cluster.connect()
    try {
      const sql = `SELECT id, balance FROM account WHERE id IN (${from}, ${to})`
      const { rows: seen } = await client.query<{ id: number; balance: number }>(sql)
      const changes = (all: { id: number; balance: number }[]): number[] =>
        all.sort((a, b) => Number(a.id === to) - Number(b.id === to)).map((row) => row.balance - opening)
      const balances = changes(rows.flat())
      expect(balances.join(), 'both or none').toMatch(/^(0,0|-10,10)$/)
      expect(changes(seen)).toEqual(balances)
      return balances[0] === 0 ? 'aborted' : 'committed'
    } finally {
      await client.end()
    }
  }

  /** After all cases: no money has been made or lost, nothing is prepared, and the log is empty. */
  async checkEnd(): Promise<void> {
    await this.cluster.ready()
    const sums = await Promise.all(
      this.cluster.postgres.map(({ url }) =>
        query<{ sum: number }>(url, 'SELECT sum(balance)::int FROM account'),
      ),
    )
    expect(sums.flat().reduce((sum, row) => sum + row.sum, 0)).toBe(accounts * opening)
    // Tombstones of a coordinator stay as long as it could still decide.
    await this.cluster.coordinator.stop()
    await until('nothing is prepared', async () => (await this.prepared()) === 0)
    await until('the log is empty', async () => (await logEntries(this.cluster)).length === 0)
  }

  private print(): void {
    const rows = this.results.map((r) => [r.name, r.at, r.heard, r.fate, `${r.answerMs}`, `${r.resolvedMs}`])
    const head = ['what', 'at', 'client heard', 'in the end', 'answer ms', 'resolved ms']
    const widths = head.map((text, i) => Math.max(text.length, ...rows.map((row) => row[i]?.length ?? 0)))
    const line = (cells: readonly string[]): string =>
      `  ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd()
    process.stdout.write(`${[this.title, line(head), ...rows.map(line)].join('\n')}\n`)
  }
}

function describe(answer: Answer): string {
  if (answer.kind === 'committed') return 'committed'
  return answer.kind === 'aborted' ? `aborted ${answer.code}` : `unknown: ${answer.why}`
}

/** Keys or ids of everything in the log that has to do with a transaction, but for outcomes kept to be asked for. */
export async function logEntries(cluster: ProcessCluster): Promise<string[]> {
  const { etcd } = cluster
  if (etcd === undefined) {
    const rows = await query<{ txn_id: string }>(
      cluster.postgres[0]?.url ?? '',
      'SELECT txn_id FROM weft.txn_log',
    )
    return rows.map((row) => row.txn_id)
  }
  const prefix = `/weft/${cluster.name}/`
  const answer = await etcdCall(etcd.endpoints, '/v3/kv/range', {
    key: Buffer.from(prefix).toString('base64'),
    range_end: Buffer.from(`/weft/${cluster.name}0`).toString('base64'),
    keys_only: true,
  })
  const { kvs = [] } = answer as { kvs?: { key: string }[] }
  const keys = kvs.map((kv) => Buffer.from(kv.key, 'base64').toString().slice(prefix.length))
  return keys.filter((key) => !/^(?:coordinator\/|kept\/|forgotten$)/.test(key))
}

/** Asks the first member that answers, over etcd's JSON gateway. */
export async function etcdCall(endpoints: readonly string[], path: string, body: object): Promise<unknown> {
  let failure: unknown
  for (const endpoint of endpoints) {
    try {
      const response = await fetch(`${endpoint}${path}`, {
        method: 'POST',
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(20_000),
      })
      if (response.ok) return await response.json()
      failure = new Error(await response.text())
    } catch (error) {
      failure = error
    }
  }
  throw failure
}
