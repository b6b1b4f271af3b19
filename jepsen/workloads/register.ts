import type { RegisterValue } from '../check/ops.ts'
import type { OpValue } from '../history/op.ts'
import { Declined, type Session } from '../run/session.ts'
import { spread, type Task, type Workload, type WorkloadOptions } from './workload.ts'

const ACTIVE_KEYS = 4
/** To search for an order of more takes long. */
const OPS_PER_KEY = 120
const VALUES = 5

/** Single rows that are read, written, and compared and set, each by one statement: linearizable. */
export function registerWorkload(options: WorkloadOptions): Workload {
  let asked = 0
  return {
    tables: [`CREATE TABLE register (id int PRIMARY KEY, value int NOT NULL) ${spread(options, 'id')}`],
    next: ({ random }): Task => {
      const round = Math.floor(asked++ / (OPS_PER_KEY * ACTIVE_KEYS))
      const key = round * ACTIVE_KEYS + random.below(ACTIVE_KEYS)
      const draw = random.next()
      if (draw < 0.4) return { f: 'read', value: [key, null] }
      if (draw < 0.7) return { f: 'write', value: [key, random.below(VALUES)] }
      return { f: 'cas', value: [key, [random.below(VALUES), random.below(VALUES)]] }
    },
    perform: (session, task) => perform(session, task),
    finals: () => {
      const keys = Math.ceil(asked / OPS_PER_KEY) + ACTIVE_KEYS
      return Array.from({ length: keys }, (_, key): Task => ({ f: 'read', value: [key, null], final: true }))
    },
  }
}

async function perform(session: Session, { f, value }: Task): Promise<OpValue> {
  const [key, argument] = value as unknown as RegisterValue
  if (f === 'read') {
    const [row] = await session.read<{ value: number }>('SELECT value FROM register WHERE id = $1', [key])
    return [key, row?.value ?? null]
  }
  if (f === 'write') {
    await session.write(
      'INSERT INTO register VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET value = excluded.value',
      [key, argument],
    )
    return value
  }
  const [old, changed] = argument as readonly [number, number]
  const rows = await session.write(
    'UPDATE register SET value = $1 WHERE id = $2 AND value = $3 RETURNING id',
    [changed, key, old],
  )
  if (rows.length === 0) throw new Declined('the value is another')
  return value
}
