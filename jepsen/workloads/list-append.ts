import type { MicroOp, OpValue } from '../history/op.ts'
import type { Random } from '../run/random.ts'
import type { Session } from '../run/session.ts'
import { KeyPool } from './keys.ts'
import { beginOf, spread, type Task, type Workload, type WorkloadOptions } from './workload.ts'

const ACTIVE_KEYS = 8
const APPENDS_PER_KEY = 40
const STEPS_MAX = 4
const KEYS_PER_FINAL_READ = 16

/** How what keys stand for is stored, written and read. */
export interface KeyValues {
  readonly tables: readonly string[]
  /** Read of a key that was never written. */
  readonly nothing: MicroOp[2]
  write(session: Session, key: number, value: MicroOp[2]): Promise<void>
  /** In one statement. */
  read(session: Session, keys: readonly number[]): Promise<ReadonlyMap<number, MicroOp[2]>>
}

/** Elle's list-append: transactions that append to lists and read them, one by one or several in one statement. */
export function listAppendWorkload(options: WorkloadOptions): Workload {
  const lists = options.rows ? rowsOfElements(options) : arrays(options)
  const keys = new KeyPool(ACTIVE_KEYS, APPENDS_PER_KEY)
  const begin = beginOf(options.isolation)
  return {
    tables: lists.tables,
    next: ({ random }) => planTxn(random, keys, 'append'),
    perform: (session, task) => session.transaction(begin, () => runTxn(session, lists, task)),
    finals: () => finalReads(keys.all),
  }
}

/** A few steps, each a write of one key or a read of one or several. */
export function planTxn(random: Random, keys: KeyPool, write: 'append' | 'w'): Task {
  const value: MicroOp[] = []
  const statements: number[] = []
  const steps = 1 + random.below(STEPS_MAX)
  for (let step = 0; step < steps; step++) {
    const draw = random.next()
    if (draw < 0.5) {
      const key = keys.pick(random)
      value.push([write, key, keys.valueFor(key)])
      statements.push(step)
    } else {
      const read = draw < 0.75 ? [keys.pick(random)] : keys.some(random, 2 + random.below(4))
      value.push(...read.map((key): MicroOp => ['r', key, null]))
      statements.push(...read.map(() => step))
    }
  }
  return { f: 'txn', value, statements }
}

/** Every key, so many in one statement. */
export function finalReads(keys: readonly number[]): Task[] {
  const tasks: Task[] = []
  for (let i = 0; i < keys.length; i += KEYS_PER_FINAL_READ) {
    const some = keys.slice(i, i + KEYS_PER_FINAL_READ)
    const value = some.map((key): MicroOp => ['r', key, null])
    tasks.push({ f: 'txn', value, statements: some.map(() => 0), final: true })
  }
  return tasks
}

/** Micro-ops in their order; reads of one statement are asked as one. */
export async function runTxn(
  session: Session,
  keys: KeyValues,
  { value, statements = [] }: Task,
): Promise<OpValue> {
  const micros = value as readonly MicroOp[]
  const done: MicroOp[] = []
  while (done.length < micros.length) {
    const first = done.length
    const [f, key, argument] = micros[first] as MicroOp
    if (f !== 'r') {
      await keys.write(session, key, argument)
      done.push([f, key, argument])
      continue
    }
    const asked = micros
      .filter((_, i) => i >= first && statements[i] === statements[first])
      .map((micro) => micro[1])
    const found = await keys.read(session, asked)
    for (const each of asked) done.push(['r', each, found.get(each) ?? keys.nothing])
  }
  return done
}

function arrays(options: WorkloadOptions): KeyValues {
  return {
    tables: [`CREATE TABLE list (id int PRIMARY KEY, items int[] NOT NULL) ${spread(options, 'id')}`],
    nothing: [],
    write: async (session, key, value) => {
      await session.change(
        'INSERT INTO list VALUES ($1, ARRAY[$2::int]) ON CONFLICT (id) DO UPDATE SET items = list.items || $2::int',
        [key, value],
      )
    },
    read: async (session, keys) => {
      const rows = await session.read<{ id: number; items: number[] }>(
        `SELECT id, items FROM list WHERE id IN (${keys.join()})`,
      )
      return new Map(rows.map(({ id, items }) => [id, items]))
    },
  }
}

/** The elements of a list are on all shards; its head, which says how many there are, is on one. */
function rowsOfElements(options: WorkloadOptions): KeyValues {
  return {
    tables: [
      `CREATE TABLE head (id int PRIMARY KEY, n int NOT NULL) ${spread(options, 'id')}`,
      `CREATE TABLE element (list int, value int, n int NOT NULL, PRIMARY KEY (value, list)) ${spread(options, 'value')}`,
    ],
    nothing: [],
    write: async (session, key, value) => {
      const [head] = await session.read<{ n: number }>(
        'INSERT INTO head VALUES ($1, 1) ON CONFLICT (id) DO UPDATE SET n = head.n + 1 RETURNING n',
        [key],
      )
      await session.change('INSERT INTO element VALUES ($1, $2, $3)', [key, value, head?.n])
    },
    read: async (session, keys) => {
      const rows = await session.read<{ list: number; value: number }>(
        `SELECT list, value FROM element WHERE list IN (${keys.join()}) ORDER BY list, n`,
      )
      const lists = new Map<number, number[]>()
      for (const { list, value } of rows) lists.set(list, [...(lists.get(list) ?? []), value])
      return lists
    },
  }
}
