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
  /** Being written just now: somebody who looks may find one row written and the other not yet. */
  const underWay = new Set<number>()
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
      if (underWay.size > 0 && random.chance(0.6))
        return { f: 'read', value: { key: random.pick([...underWay]), value: null } }
      if (random.chance(0.5)) return { f: 'read', value: { key: process, value: null } }
      const key = random.pick([...told.keys()])
      return { f: 'read', value: { key, value: null, after: told.get(key)?.value ?? 0 } }
    },
    // What is written through one is read through the other.
    nodeOf: ({ f }, { client }) => (f === 'write' ? client : client + 1),
    perform: async (session, { f, value, final }, { random }) => {
      if (f === 'read') {
        const read = value as unknown as SessionRead
        const isAsked = read.after !== undefined || !underWay.has(read.key)
        const isTold = options.isWeft && final !== true && isAsked
        return {
          ...read,
          ...(await readKey(session, read.key, isTold ? told.get(read.key)?.token : undefined, random)),
        }
      }
      const [key, n] = value as unknown as SessionWrite
      underWay.add(key)
      try {
        await session.transaction(begin, () => writeKey(session, key, n))
      } finally {
        underWay.delete(key)
      }
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

/** One row by one shard, both one after the other, or by a query over all shards. */
async function readKey(
  session: Session,
  key: number,
  token: string | undefined,
  random: Random,
): Promise<Pick<SessionRead, 'value' | 'first'>> {
  if (token !== undefined) await session.read(`SET weft.causal_token = '${token}'`)
  const [one, other] = random.shuffled([key, key + TWIN]) as [number, number]
  if (random.chance(0.2)) return { value: await readRow(session, 'id + 0', one) }
  const value = await readRow(session, 'id', one)
  return random.chance(0.3) ? { value } : { first: value, value: await readRow(session, 'id', other) }
}

async function readRow(session: Session, what: string, id: number): Promise<number | null> {
  const [row] = await session.read<{ value: number }>(`SELECT value FROM own WHERE ${what} = $1`, [id])
  return row?.value ?? null
}
