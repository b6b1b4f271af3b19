import type { CheckOptions, Isolation } from './verdict.ts'

const READ_COMMITTED = ['G1a', 'G1b', 'G0', 'G1c'] as const
/**
 * Weft's REPEATABLE READ is Postgres' own: snapshot isolation, where the first committer wins, at one cut of all
 * shards.
 */
const SNAPSHOT = [...READ_COMMITTED, 'G-single', 'G-nonadjacent', 'lost-update'] as const
const SERIALIZABLE = [...SNAPSHOT, 'G2-item', 'G2'] as const

const OF_LEVEL: Readonly<Record<Isolation, readonly string[]>> = {
  'read committed': READ_COMMITTED,
  'repeatable read': SNAPSHOT,
  serializable: SERIALIZABLE,
}

/**
 * Whether a level, strict or not, forbids a phenomenon. At READ COMMITTED each statement is judged by itself, too
 * (`statement-…`): what it sees is one cut, that is a snapshot.
 */
export function isForbidden(
  kind: string,
  { isolation, realtime, session = realtime }: CheckOptions,
): boolean {
  const isStatement = kind.startsWith('statement-')
  const [, base = '', order] = /^(.*?)(-process|-realtime)?$/.exec(kind.replace('statement-', '')) ?? []
  // What no level allows: what is lost, garbage, out of order by itself.
  if (!(SERIALIZABLE as readonly string[]).includes(base)) return true
  if (order === '-realtime' && !realtime) return false
  if (order === '-process' && !session) return false
  return (isStatement ? SNAPSHOT : OF_LEVEL[isolation]).includes(base as never)
}
