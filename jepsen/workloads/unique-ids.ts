import { spread, type Task, type Workload, type WorkloadOptions } from './workload.ts'

/** What sequences give, through all coordinators, is given once: to who asks for a number, and to rows that are inserted. */
export function uniqueIdsWorkload(options: WorkloadOptions): Workload {
  let keys = 0
  return {
    tables: [`CREATE TABLE numbered (k int PRIMARY KEY, n bigserial NOT NULL) ${spread(options, 'k')}`],
    next: (): Task => ({ f: 'generate', value: null }),
    perform: async (session, _task, { random }) => {
      if (random.chance(0.5)) {
        const [row] = await session.write<{ n: string }>("SELECT nextval('numbered_n_seq') AS n")
        return Number(row?.n)
      }
      const first = keys
      keys += 3
      const rows = await session.write<{ n: string }>(
        'INSERT INTO numbered (k) VALUES ($1), ($2), ($3) RETURNING n',
        [first, first + 1, first + 2],
      )
      return rows.map(({ n }) => Number(n))
    },
    finals: () => [],
  }
}
