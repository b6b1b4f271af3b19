import type { SequentialRead } from '../check/ops.ts'
import { spread, type Task, type Workload, type WorkloadOptions } from './workload.ts'

const PARTS = 4
const RECENT = 5

/** A client writes parts one after the other, on different shards; who sees a later one sees those before it. */
export function sequentialWorkload(options: WorkloadOptions): Workload {
  let written = 0
  const row = (key: number, part: number): number => key * PARTS + part
  return {
    tables: [`CREATE TABLE part (id int PRIMARY KEY) ${spread(options, 'id')}`],
    next: ({ random }): Task => {
      if (written === 0 || random.chance(0.4)) return { f: 'write', value: written++ }
      return { f: 'read', value: [Math.max(0, written - 1 - random.below(RECENT)), null] }
    },
    perform: async (session, { f, value }) => {
      if (f === 'write') {
        for (let part = 0; part < PARTS; part++)
          await session.write('INSERT INTO part VALUES ($1)', [row(value as number, part)])
        return value
      }
      const [key] = value as unknown as SequentialRead
      const parts: (number | null)[] = []
      for (let part = PARTS - 1; part >= 0; part--) {
        const found = await session.read('SELECT id FROM part WHERE id = $1', [row(key, part)])
        parts.push(found.length > 0 ? 1 : null)
      }
      return [key, parts]
    },
    finals: () =>
      Array.from({ length: written }, (_, key): Task => ({ f: 'read', value: [key, null], final: true })),
  }
}
