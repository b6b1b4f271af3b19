import type { DeclaredRead } from '../check/ops.ts'
import { query } from '../cluster/query.ts'
import type { OpValue } from '../history/op.ts'
import { Declined, type Session } from '../run/session.ts'
import type { Task, Workload, WorkloadOptions } from './workload.ts'

const declarations: Readonly<Record<string, string>> = {
  sharded: "SELECT create_distributed_table('declared', 'id')",
  local: "SELECT undistribute_table('declared')",
}

/** A table becomes distributed, and local again, while rows are written to it. */
export function declaringWorkload(options: WorkloadOptions): Workload {
  let next = 0
  let declared = 'local'
  let isUnderWay = false
  return {
    tables: ['CREATE TABLE declared (id int PRIMARY KEY)'],
    next: ({ random }): Task => {
      const draw = random.next()
      if (draw < 0.1) return { f: 'read', value: null }
      // Of several at a time all but one come to nothing: the map has changed.
      if (draw > 0.13 || isUnderWay) return { f: 'add', value: next++ }
      isUnderWay = true
      return { f: 'declare', value: declared === 'local' ? 'sharded' : 'local' }
    },
    perform: async (session, { f, value, final }) => {
      if (f === 'read')
        return (await read(session, final === true ? options.shardUrls : [])) as unknown as OpValue
      if (f === 'add') await session.write('INSERT INTO declared VALUES ($1)', [value])
      else if (!options.isWeft) throw new Declined('there are no shards')
      else await declare(session, declarations[value as string] ?? '')
      return value
    },
    heard: ({ type, f, value }) => {
      if (f === 'declare') isUnderWay = false
      if (f === 'declare' && type === 'ok') declared = value as string
    },
    finals: () => [{ f: 'read', value: null, final: true }],
  }
}

/** It copies all rows, and waits for who writes them. One with a snapshot would not see all that others wrote. */
async function declare(session: Session, sql: string): Promise<void> {
  session.takes(6)
  await session.transaction('BEGIN ISOLATION LEVEL READ COMMITTED', () => session.read(sql))
}

async function read(session: Session, shardUrls: readonly string[]): Promise<DeclaredRead> {
  const ids = (rows: readonly { id: number }[]): number[] => rows.map(({ id }) => id)
  const rows = ids(await session.read<{ id: number }>('SELECT id FROM declared ORDER BY id'))
  if (shardUrls.length === 0 || !(await isSpread(session))) return { rows }
  const shards: Record<string, number[]> = {}
  for (const [shard, url] of shardUrls.entries())
    shards[`shard ${shard}`] = ids(
      await query<{ id: number }>(url, 'SELECT id FROM jepsen.declared ORDER BY id'),
    )
  return { rows, shards }
}

async function isSpread(session: Session): Promise<boolean> {
  const plan = await session.read<{ 'QUERY PLAN': string }>('EXPLAIN SELECT id FROM declared')
  return plan.some((line) => /scatter|shards/i.test(line['QUERY PLAN']))
}
