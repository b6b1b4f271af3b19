import type { SessionRead, SessionWrite } from '../check/ops.ts'
import type { OpValue } from '../history/op.ts'
import type { Random } from '../run/random.ts'
import type { Session } from '../run/session.ts'
import { beginOf, spread, type Task, type Workload, type WorkloadOptions } from './workload.ts'

/** A key's value is in two rows, of different shards mostly. */
const TWIN = 1_000_000

interface Told {
  readonly value: number
  readonly token: string
}

/**
 * Each process writes a key of its own at one coordinator, and reads at the other with the causal token that it, or the
 * writer that told it, had after its last write.
 */
export function readYourWritesWorkload(options: WorkloadOptions): Workload {
  const told = new Map<number, Told>()
  const tried = new Map<number, number>()
  const begin = beginOf(options.isolation)
  const write = (key: number): Task => {
    const value = (tried.get(key) ?? 0) + 1
    tried.set(key, value)
    return { f: 'write', value: [key, value] }
  }
  return {
    tables: [`CREATE TABLE own (id int PRIMARY KEY, value int NOT NULL) ${spread(options, 'id')}`],
    next: ({ random, process }) => {
      const mine = told.get(process)
      if (mine === undefined || random.chance(0.4)) return write(process)
      if (random.chance(0.5)) return { f: 'read', value: { key: process, value: null } }
      const key = random.pick([...told.keys()])
      return { f: 'read', value: { key, value: null, after: told.get(key)?.value ?? 0 } }
    },
    // What is written through one is read through the other.
    nodeOf: ({ f }, { client }) => (f === 'write' ? client : client + 1),
    perform: async (session, { f, value, final }, { random }) => {
      if (f === 'read') {
        const read = value as unknown as SessionRead
        const token = options.isWeft && final !== true ? told.get(read.key)?.token : undefined
        return { ...read, value: await readKey(session, read.key, token, random) }
      }
      const [key, n] = value as unknown as SessionWrite
      await session.transaction(begin, () => writeKey(session, key, n))
      told.set(key, { value: n, token: options.isWeft ? await tokenOf(session) : '' })
      return value
    },
    finals: () =>
      [...told].map(([key]): Task => ({ f: 'read', value: { key, value: null } as OpValue, final: true })),
  }
}

async function writeKey(session: Session, key: number, value: number): Promise<void> {
  for (const id of [key, key + TWIN]) {
    await session.change(
      'INSERT INTO own VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET value = excluded.value',
      [id, value],
    )
  }
}

async function tokenOf(session: Session): Promise<string> {
  const [row] = await session.read<{ 'weft.causal_token': string }>('SHOW weft.causal_token')
  return row?.['weft.causal_token'] ?? ''
}

async function readKey(
  session: Session,
  key: number,
  token: string | undefined,
  random: Random,
): Promise<number | null> {
  if (token !== undefined) await session.read(`SET weft.causal_token = '${token}'`)
  const id = random.chance(0.5) ? key : key + TWIN
  const sql = random.chance(0.3)
    ? 'SELECT value FROM own WHERE id + 0 = $1'
    : 'SELECT value FROM own WHERE id = $1'
  const [row] = await session.read<{ value: number }>(sql, [id])
  return row?.value ?? null
}
