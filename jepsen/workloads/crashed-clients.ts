import type { CrashWrite } from '../check/ops.ts'
import type { OpValue } from '../history/op.ts'
import type { Session } from '../run/session.ts'
import { beginOf, spread, type Task, type Workload, type WorkloadOptions } from './workload.ts'

const KEYS = Array.from({ length: 8 }, (_, i) => i)
const CRASHES = ['idle', 'in-statement', 'at-commit'] as const

/** Clients that are gone in the midst of a transaction over several shards: it is there on all of them or on none. */
export function crashedClientsWorkload(options: WorkloadOptions): Workload {
  let ids = 0
  const begin = beginOf(options.isolation)
  return {
    tables: [`CREATE TABLE mark (key int, id int, PRIMARY KEY (key, id)) ${spread(options, 'key')}`],
    next: ({ random }): Task => {
      if (random.chance(0.15)) return { f: 'read', value: null }
      const write = { id: ids++, keys: random.some(KEYS, 2 + random.below(3)) }
      return { f: 'write', value: random.chance(0.3) ? { ...write, crash: random.pick(CRASHES) } : write }
    },
    perform: async (session, { f, value }, { random }) => {
      if (f === 'read') return readAll(session)
      const { id, keys, crash } = value as unknown as CrashWrite
      const cutAfterMs = crash === 'at-commit' ? random.below(6) : undefined
      await session.transaction(begin, () => write(session, id, keys, crash), cutAfterMs)
      return value
    },
    finals: () => [{ f: 'read', value: null, final: true }],
  }
}

async function write(
  session: Session,
  id: number,
  keys: readonly number[],
  crash: CrashWrite['crash'],
): Promise<void> {
  const last = keys.length - 1
  for (const [i, key] of keys.entries()) {
    const written = session.change('INSERT INTO mark VALUES ($1, $2)', [key, id])
    if (crash === 'in-statement' && i === last) session.cut('the client crashed in a statement')
    await written
  }
  if (crash !== 'idle') return
  session.cut('the client crashed')
  throw new Error('the client crashed')
}

async function readAll(session: Session): Promise<OpValue> {
  const rows = await session.read<{ key: number; id: number }>('SELECT key, id FROM mark ORDER BY key, id')
  const found: Record<string, number[]> = Object.fromEntries(KEYS.map((key) => [key, []]))
  for (const { key, id } of rows) found[key]?.push(id)
  return found
}
