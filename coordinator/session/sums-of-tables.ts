/** Sizes and statistics of sharded tables, of all shards together (sql/plan/sums-of-tables.ts). */
import { added, queryOfParts, type SumOfTables } from '../../sql/plan/sums-of-tables.ts'
import { HOME } from '../execute/context.ts'
import { queryShard } from '../execute/shards/send.ts'
import type { ClientSession } from './client-session.ts'

interface Sum {
  /** Of what it is about, on the home shard. */
  readonly number: string | undefined
  readonly parts: ReturnType<typeof added>
}

/** By the home shard's numbers, as JSON. `relation`: it is about this one only. */
export async function sumsJson(
  session: ClientSession,
  sum: SumOfTables,
  relation: string | undefined,
): Promise<string> {
  const sums = new Map<string, Sum>()
  const query = queryOfParts(sum)
  for (const [shard, rows] of (await askedOfAll(session, query, relation)).entries()) {
    for (const row of rows) {
      const [key = '', number = '', json = ''] = row.map(String)
      const before = sums.get(key)
      const parts = added(before?.parts, JSON.parse(json) as Sum['parts'])
      sums.set(key, { number: shard === HOME ? number : before?.number, parts })
    }
  }
  const told = [...sums.values()].flatMap(({ number, parts }) =>
    number === undefined ? [] : [[number, parts]],
  )
  return JSON.stringify(Object.fromEntries(told))
}

/** A shard that has joined the transaction sees what it has made there. */
async function askedOfAll(session: ClientSession, query: string, relation: string | undefined) {
  const asked = session.node.links.map(async (_, shard) => {
    const line = session.line(shard)
    const options = { writes: false, looks: false, joins: line.joined }
    return (await queryShard(session, line, query, [relation ?? null], options)).rows
  })
  await Promise.allSettled(asked)
  return Promise.all(asked)
}
