import type { CheckOptions, Isolation } from './verdict.ts'

/** What no level allows, whether it is read from lists or registers. */
const STRUCTURE = [
  'internal',
  'incompatible-order',
  'garbage',
  'duplicate-elements',
  'lost-append',
  'dirty-update',
  'cyclic-versions',
] as const
const READ_COMMITTED = ['G1a', 'G1b', 'G0', 'G1c'] as const
/** Weft's REPEATABLE READ is Postgres' own: snapshot isolation, where the first committer wins, at one cut of all shards. */
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
  if ((STRUCTURE as readonly string[]).includes(kind)) return true
  const isStatement = kind.startsWith('statement-')
  const [, base = '', order] = /^(.*?)(-process|-realtime)?$/.exec(kind.replace('statement-', '')) ?? []
  if (order === '-realtime' && !realtime) return false
  if (order === '-process' && !session) return false
  return (isStatement ? SNAPSHOT : OF_LEVEL[isolation]).includes(base as never)
}
