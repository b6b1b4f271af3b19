import { KeyPool } from './keys.ts'
import { finalReads, type KeyValues, planTxn, runTxn } from './list-append.ts'
import { beginOf, spread, type Workload, type WorkloadOptions } from './workload.ts'

const ACTIVE_KEYS = 8
const WRITES_PER_KEY = 60

/** Transactions that write registers blindly and read them, one by one or several in one statement. */
export function rwRegisterWorkload(options: WorkloadOptions): Workload {
  const values = registers(options)
  const keys = new KeyPool(ACTIVE_KEYS, WRITES_PER_KEY)
  const begin = beginOf(options.isolation)
  return {
    tables: values.tables,
    next: ({ random }) => planTxn(random, keys, 'w'),
    perform: (session, task) => session.transaction(begin, () => runTxn(session, values, task)),
    finals: () => finalReads(keys.all),
  }
}

function registers(options: WorkloadOptions): KeyValues {
  return {
    tables: [`CREATE TABLE register (id int PRIMARY KEY, value int NOT NULL) ${spread(options, 'id')}`],
    nothing: null,
    write: async (session, key, value) => {
      await session.change(
        'INSERT INTO register VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET value = excluded.value',
        [key, value],
      )
    },
    read: async (session, keys) => {
      const rows = await session.read<{ id: number; value: number }>(
        `SELECT id, value FROM register WHERE id IN (${keys.join()})`,
      )
      return new Map(rows.map(({ id, value }) => [id, value]))
    },
  }
}
