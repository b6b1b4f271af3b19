import type { MicroOp } from '../history/op.ts'
import { spread, type Task, type Workload, type WorkloadOptions } from './workload.ts'

const GROUP = 4

/** Keys that are written once each, and reads of whole groups of them: no two reads may disagree on which came first. */
export function longForkWorkload(options: WorkloadOptions): Workload {
  let written = 0
  const group = (key: number): number[] =>
    Array.from({ length: GROUP }, (_, i) => Math.floor(key / GROUP) * GROUP + i)
  const read = (keys: readonly number[]): Task => ({
    f: 'txn',
    value: keys.map((key): MicroOp => ['r', key, null]),
    statements: keys.map(() => 0),
  })
  return {
    tables: [`CREATE TABLE fork (id int PRIMARY KEY, value int NOT NULL) ${spread(options, 'id')}`],
    next: ({ random }) => {
      if (random.chance(0.4)) return { f: 'txn', value: [['w', written++, 1]] }
      // Of the group that is being written, mostly.
      return read(group(Math.max(0, written - (random.chance(0.7) ? 1 : 1 + random.below(GROUP * 3)))))
    },
    perform: async (session, { value }) => {
      const micros = value as readonly MicroOp[]
      const [[f, first] = ['r', 0]] = micros
      if (f === 'w') {
        await session.write('INSERT INTO fork VALUES ($1, 1)', [first])
        return value
      }
      const asked = micros.map((micro) => micro[1])
      const rows = await session.read<{ id: number; value: number }>(
        `SELECT id, value FROM fork WHERE id IN (${asked.join()})`,
      )
      const found = new Map(rows.map((row) => [row.id, row.value]))
      return asked.map((key): MicroOp => ['r', key, found.get(key) ?? null])
    },
    finals: () =>
      Array.from({ length: Math.ceil(written / GROUP) }, (_, i) => ({
        ...read(group(i * GROUP)),
        final: true,
      })),
  }
}
