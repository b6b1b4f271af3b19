import { spread, type Task, type Workload, type WorkloadOptions } from './workload.ts'

/** Rows that are inserted, one by one, and must all be there in the end. */
export function setWorkload(options: WorkloadOptions): Workload {
  let next = 0
  return {
    tables: [`CREATE TABLE element (id int PRIMARY KEY) ${spread(options, 'id')}`],
    next: ({ random }): Task =>
      random.chance(0.1) ? { f: 'read', value: null } : { f: 'add', value: next++ },
    perform: async (session, { f, value }) => {
      if (f === 'add') {
        await session.write('INSERT INTO element VALUES ($1)', [value])
        return value
      }
      const rows = await session.read<{ id: number }>('SELECT id FROM element ORDER BY id')
      return rows.map(({ id }) => id)
    },
    finals: () => [{ f: 'read', value: null, final: true }],
  }
}
