import { beginOf, spread, type Task, type Workload, type WorkloadOptions } from './workload.ts'

/** Every transaction adds one to the greatest value over all shards, on a shard of its choice. */
export function monotonicWorkload(options: WorkloadOptions): Workload {
  let ids = 0
  const begin = beginOf(options.isolation)
  return {
    tables: [`CREATE TABLE rising (id int PRIMARY KEY, value int NOT NULL) ${spread(options, 'id')}`],
    next: ({ random }): Task => ({ f: random.chance(0.2) ? 'read' : 'add', value: null }),
    perform: async (session, { f }) => {
      if (f === 'read') {
        const rows = await session.read<{ value: number }>('SELECT value FROM rising')
        return rows.map(({ value }) => value)
      }
      const id = ids++
      return session.transaction(begin, async () => {
        const [row] = await session.read<{ top: number }>('SELECT coalesce(max(value), 0) AS top FROM rising')
        const value = (row?.top ?? 0) + 1
        await session.change('INSERT INTO rising VALUES ($1, $2)', [id, value])
        return { value, node: session.node }
      })
    },
    finals: () => [{ f: 'read', value: null, final: true }],
  }
}
