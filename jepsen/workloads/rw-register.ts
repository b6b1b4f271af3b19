import type { MicroOp, OpValue } from '../history/op.ts'
import type { Session } from '../run/session.ts'
import { KeyPool } from './keys.ts'
import { finalReads, planTxn } from './list-append.ts'
import { beginOf, spread, type Task, type Workload, type WorkloadOptions } from './workload.ts'

const ACTIVE_KEYS = 8
const WRITES_PER_KEY = 60

/** Transactions that write registers blindly and read them, one by one or several in one statement. */
export function rwRegisterWorkload(options: WorkloadOptions): Workload {
  const keys = new KeyPool(ACTIVE_KEYS, WRITES_PER_KEY)
  const begin = beginOf(options.isolation)
  return {
    tables: [`CREATE TABLE register (id int PRIMARY KEY, value int NOT NULL) ${spread(options, 'id')}`],
    next: ({ random }) => planTxn(random, keys, 'w'),
    perform: (session, task) => session.transaction(begin, () => runTxn(session, task)),
    finals: () => finalReads(keys.all),
  }
}

async function runTxn(session: Session, { value, statements = [] }: Task): Promise<OpValue> {
  const micros = value as readonly MicroOp[]
  const done: MicroOp[] = []
  while (done.length < micros.length) {
    const first = done.length
    const [f, key, argument] = micros[first] as MicroOp
    if (f !== 'r') {
      await session.change(
        'INSERT INTO register VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET value = excluded.value',
        [key, argument],
      )
      done.push([f, key, argument])
      continue
    }
    const asked = micros
      .filter((_, i) => i >= first && statements[i] === statements[first])
      .map((micro) => micro[1])
    const rows = await session.read<{ id: number; value: number }>(
      `SELECT id, value FROM register WHERE id IN (${asked.join()})`,
    )
    const found = new Map(rows.map((row) => [row.id, row.value]))
    for (const each of asked) done.push(['r', each, found.get(each) ?? null])
  }
  return done
}
