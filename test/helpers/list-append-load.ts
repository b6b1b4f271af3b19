import type pg from 'pg'
import { Rng } from '../sim/rng.ts'
import type { Op, Read, Txn } from './list-append.ts'
import { connectTo } from './postgres.ts'

export const LISTS = 8

export interface LoadOptions {
  /** A client connects to one of them, in turn. */
  readonly urls: readonly string[]
  readonly begin: string
  /** Said by each client first. */
  readonly setup?: string
  readonly seed: number
  readonly txns: number
  /** Default 8. */
  readonly clients?: number
}

/** Table `list`: eight lists, spread over the shards of Weft, or not, on a plain Postgres. */
export async function createLists(url: string, sharded = true): Promise<void> {
  const client = await connectTo(url)
  const options = sharded ? "WITH (shard_key = 'id')" : ''
  await client.query(`CREATE TABLE list (id int PRIMARY KEY, items int[] NOT NULL) ${options}`)
  await client.query(`INSERT INTO list SELECT i, '{}' FROM generate_series(1, ${LISTS}) i`)
  await client.end()
}

/** Empties the lists, runs random transactions on them, and ends with a read of them all. */
export async function runLoad(options: LoadOptions): Promise<Txn[]> {
  const { urls, seed, txns } = options
  const count = options.clients ?? 8
  const clients = await Promise.all(
    Array.from({ length: count }, (_, i) => connectTo(urls[i % urls.length] as string)),
  )
  try {
    await clients[0]?.query("UPDATE list SET items = '{}'")
    for (const client of clients) await client.query(options.setup ?? 'SELECT 1')
    const left = { txns, value: 0, id: 0 }
    const parts = await Promise.all(
      clients.map(async (client, i) => {
        const rng = new Rng(seed * 1000 + i)
        const own: Txn[] = []
        while (left.txns-- > 0) {
          const plan = planTxn(rng, () => ++left.value)
          own.push(await runTxn(client, ++left.id, options.begin, plan))
        }
        return own
      }),
    )
    const last = await runTxn(clients[0] as pg.Client, ++left.id, 'BEGIN', [{ kind: 'read', keys: ALL }])
    return [...parts.flat(), last]
  } finally {
    await Promise.all(clients.map((client) => client.end()))
  }
}

const ALL = Array.from({ length: LISTS }, (_, i) => i + 1)

type Step =
  | { readonly kind: 'append'; readonly key: number; readonly value: number }
  | { readonly kind: 'read'; readonly keys: readonly number[] }

/** One to five steps; appends in the order of keys mostly, or nothing but deadlocks would come of them. */
function planTxn(rng: Rng, nextValue: () => number): Step[] {
  const keys = Array.from({ length: 1 + rng.below(5) }, () => rng.pick(ALL))
  if (rng.chance(0.97)) keys.sort((one, two) => one - two)
  return keys.map((key): Step => {
    if (rng.chance(0.45)) return { kind: 'append', key, value: nextValue() }
    if (rng.chance(0.4)) return { kind: 'read', keys: rng.shuffled(ALL).slice(0, 2 + rng.below(LISTS - 2)) }
    return { kind: 'read', keys: [key] }
  })
}

const ABORTED = new Set(['40001', '40P01'])

async function runTxn(client: pg.Client, id: number, begin: string, steps: readonly Step[]): Promise<Txn> {
  const ops: Op[] = []
  try {
    await client.query(begin)
    for (const step of steps) ops.push(await runStep(client, step))
    await client.query('COMMIT')
    return { id, ops, outcome: 'committed' }
  } catch (error) {
    const { code = '' } = error as { code?: string }
    if (code === '08007') return { id, ops, outcome: 'unknown' }
    if (!ABORTED.has(code)) throw error
    await client.query('ROLLBACK')
    // The append that failed is among those that nobody may see.
    const tried = steps[ops.length]
    return { id, ops: tried?.kind === 'append' ? [...ops, tried] : ops, outcome: 'aborted' }
  }
}

async function runStep(client: pg.Client, step: Step): Promise<Op> {
  if (step.kind === 'read') return read(client, step.keys)
  await client.query('UPDATE list SET items = items || $1::int WHERE id = $2', [step.value, step.key])
  return step
}

async function read(client: pg.Client, keys: readonly number[]): Promise<Read> {
  const { rows } = await client.query<{ id: number; items: number[] }>(
    `SELECT id, items FROM list WHERE id IN (${keys.join()})`,
  )
  if (rows.length !== keys.length) throw new Error(`read lists ${keys.join()}: ${rows.length} rows`)
  return { kind: 'read', lists: rows.map(({ id, items }) => ({ key: id, values: items })) }
}

/** How much of a history is worth judging. */
export function summary(history: readonly Txn[]): { committed: number; aborted: number; spread: number } {
  const committed = history.filter(({ outcome }) => outcome === 'committed')
  const keysOf = (txn: Txn) => new Set(txn.ops.flatMap((op) => (op.kind === 'append' ? [op.key] : [])))
  return {
    committed: committed.length,
    aborted: history.filter(({ outcome }) => outcome === 'aborted').length,
    spread: committed.filter((txn) => keysOf(txn).size > 1).length,
  }
}
