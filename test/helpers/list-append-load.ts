import type pg from 'pg'
import { callsOf } from '../../jepsen/history/calls.ts'
import type { MicroOp, Op, OpType } from '../../jepsen/history/op.ts'
import { Rng } from '../sim/rng.ts'
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
export async function runLoad(options: LoadOptions): Promise<Op[]> {
  const { urls, seed, txns } = options
  const count = options.clients ?? 8
  const clients = await Promise.all(
    Array.from({ length: count }, (_, i) => connectTo(urls[i % urls.length] as string)),
  )
  try {
    await clients[0]?.query("UPDATE list SET items = '{}'")
    for (const client of clients) await client.query(options.setup ?? 'SELECT 1')
    const left = { txns, value: 0 }
    const history = new History()
    await Promise.all(
      clients.map(async (client, process) => {
        const rng = new Rng(seed * 1000 + process)
        while (left.txns-- > 0) {
          const steps = planTxn(rng, () => ++left.value)
          await runTxn(history, { client, process, begin: options.begin, steps })
        }
      }),
    )
    const steps: Step[] = [{ kind: 'read', keys: ALL }]
    await runTxn(history, { client: clients[0] as pg.Client, process: 0, begin: 'BEGIN', steps, final: true })
    return history.ops
  } finally {
    await Promise.all(clients.map((client) => client.end()))
  }
}

class History {
  readonly ops: Op[] = []

  add(type: OpType, { process, final, steps }: Run, value: readonly MicroOp[]): void {
    const index = this.ops.length
    this.ops.push({
      index,
      time: index,
      type,
      process,
      f: 'txn',
      value,
      statements: steps.flatMap((step, i) => asked(step).map(() => i)),
      ...(final === undefined ? {} : { final }),
    })
  }
}

interface Run {
  readonly client: pg.Client
  readonly process: number
  readonly begin: string
  readonly steps: readonly Step[]
  readonly final?: true
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

async function runTxn(history: History, run: Run): Promise<void> {
  const { client, begin, steps } = run
  const value = steps.flatMap(asked)
  history.add('invoke', run, value)
  const told: MicroOp[] = []
  try {
    await client.query(begin)
    for (const step of steps) told.push(...(await runStep(client, step)))
    await client.query('COMMIT')
    history.add('ok', run, told)
  } catch (error) {
    const { code = '' } = error as { code?: string }
    if (code !== '08007' && !ABORTED.has(code)) throw error
    history.add(code === '08007' ? 'info' : 'fail', run, value)
    if (code !== '08007') await client.query('ROLLBACK')
  }
}

function asked(step: Step): MicroOp[] {
  if (step.kind === 'append') return [['append', step.key, step.value]]
  return step.keys.map((key) => ['r', key, null])
}

async function runStep(client: pg.Client, step: Step): Promise<readonly MicroOp[]> {
  if (step.kind === 'read') return read(client, step.keys)
  await client.query('UPDATE list SET items = items || $1::int WHERE id = $2', [step.value, step.key])
  return asked(step)
}

async function read(client: pg.Client, keys: readonly number[]): Promise<MicroOp[]> {
  const { rows } = await client.query<{ id: number; items: number[] }>(
    `SELECT id, items FROM list WHERE id IN (${keys.join()})`,
  )
  if (rows.length !== keys.length) throw new Error(`read lists ${keys.join()}: ${rows.length} rows`)
  const items = new Map(rows.map((row) => [row.id, row.items]))
  return keys.map((key) => ['r', key, items.get(key) ?? null])
}

/** How much of a history is worth judging. */
export function summary(history: readonly Op[]): { committed: number; aborted: number; spread: number } {
  const calls = callsOf(history)
  const committed = calls.filter(({ outcome }) => outcome === 'ok')
  const keysOf = (value: readonly MicroOp[]) =>
    new Set(value.flatMap(([f, key]) => (f === 'append' ? [key] : [])))
  return {
    committed: committed.length,
    aborted: calls.filter(({ outcome }) => outcome === 'fail').length,
    spread: committed.filter(({ invoke }) => keysOf(invoke.value as readonly MicroOp[]).size > 1).length,
  }
}
