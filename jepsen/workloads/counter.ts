import { beginOf, spread, type Task, type Workload, type WorkloadOptions } from './workload.ts'

const ROWS = 6
const SHIFT = 1000

/** A sum over rows of all shards: each addition moves something between two rows as well, which no read may see half. */
export function counterWorkload(options: WorkloadOptions): Workload {
  const begin = beginOf(options.isolation)
  const add = 'UPDATE counter SET value = value + $1 WHERE id = $2'
  const rows = Array.from({ length: ROWS }, (_, i) => i)
  return {
    tables: [
      `CREATE TABLE counter (id int PRIMARY KEY, value int NOT NULL) ${spread(options, 'id')}`,
      `INSERT INTO counter SELECT i, 0 FROM generate_series(0, ${ROWS - 1}) i`,
    ],
    next: ({ random }): Task =>
      random.chance(0.4) ? { f: 'read', value: null } : { f: 'add', value: random.below(10) - 3 },
    perform: async (session, { f, value }, { random }) => {
      if (f === 'read') {
        const [row] = await session.read<{ sum: number }>('SELECT sum(value)::int AS sum FROM counter')
        return row?.sum ?? 0
      }
      const [one, other] = random.some(rows, 2)
      return session.transaction(begin, async () => {
        await session.change(add, [(value as number) + SHIFT, one])
        await session.change(add, [-SHIFT, other])
        return value
      })
    },
    finals: () => [{ f: 'read', value: null, final: true }],
  }
}
