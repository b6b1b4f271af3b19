import type { Insert, InsertRead } from '../check/ops.ts'
import type { OpValue } from '../history/op.ts'
import { Declined, type Session } from '../run/session.ts'
import { beginOf, spread, type Task, type Workload, type WorkloadOptions } from './workload.ts'

/** Adya's G2: two transactions look by predicate whether either has inserted its row, in tables on different shards. */
export function writeSkewWorkload(options: WorkloadOptions): Workload {
  let keys = 0
  let ids = 0
  /** Keys whose second transaction is still to come. */
  const half: number[] = []
  const begin = beginOf(options.isolation)
  return {
    tables: ['a', 'b'].map(
      (name) => `CREATE TABLE ${name} (id int PRIMARY KEY, key int NOT NULL) ${spread(options, 'id')}`,
    ),
    next: () => {
      const id = ids++
      const key = half.shift()
      if (key === undefined) half.push(keys)
      const value: Insert = key === undefined ? [keys++, [id, null]] : [key, [null, id]]
      return { f: 'insert', value: value as OpValue }
    },
    perform: (session, task) => (task.f === 'read' ? readKey(session, task) : insert(session, begin, task)),
    finals: () =>
      Array.from({ length: keys }, (_, key): Task => ({ f: 'read', value: [key, null], final: true })),
  }
}

async function insert(session: Session, begin: string, { value }: Task): Promise<OpValue> {
  const [key, [a, b]] = value as unknown as Insert
  return session.transaction(begin, async () => {
    for (const table of ['a', 'b']) {
      const rows = await session.read(`SELECT id FROM ${table} WHERE key = $1`, [key])
      if (rows.length > 0) throw new Declined('there is one already')
    }
    await session.change(`INSERT INTO ${a === null ? 'b' : 'a'} VALUES ($1, $2)`, [a ?? b, key])
    return value
  })
}

async function readKey(session: Session, { value }: Task): Promise<OpValue> {
  const [key] = value as unknown as InsertRead
  const rows = await session.read<{ id: number }>(
    'SELECT id FROM a WHERE key = $1 UNION ALL SELECT id FROM b WHERE key = $1',
    [key],
  )
  return [key, rows.map(({ id }) => id)]
}
