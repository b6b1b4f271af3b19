import type { Reach } from '../sql/workload/routed.ts'
import type { Advice, Judged } from './advise.ts'
import { declarations, LOCAL, written } from './placements.ts'
import type { Schema } from './schema.ts'
import type { Workload } from './workload.ts'

/** What `weft advise --json` prints; shares are from 0 to 1. Names that are here stay, new ones may come. */
export interface AdviceReport {
  readonly statements: number
  /** Texts that are no SQL that Weft can read. */
  readonly unread: number
  readonly calls: Readonly<Record<Reach, number>>
  /** Null: the source tells no times. */
  readonly time: Readonly<Record<Reach, number>> | null
  readonly tables: readonly {
    readonly table: string
    readonly kind: 'sharded' | 'reference' | 'local'
    readonly key: string | null
    readonly rows: number
    readonly bytes: number
  }[]
  /** To be changed before the declarations are taken. */
  readonly obstacles: readonly { readonly table: string; readonly what: string; readonly todo: string }[]
  readonly ddl: readonly string[]
  /** Other plans, the best first: by which column, and the share of one shard. */
  readonly plans: readonly { readonly key: string; readonly calls: number; readonly time: number | null }[]
  readonly candidates: readonly {
    readonly table: string
    readonly column: string
    readonly calls: number
    readonly time: number | null
    readonly chosen: boolean
  }[]
  /** Statements that are not for one shard, the most frequent first. */
  readonly others: readonly {
    readonly reach: Reach
    readonly calls: number
    readonly time: number | null
    readonly why: string
    readonly statement: string
  }[]
}

export function reportOf(schema: Schema, workload: Workload, advice: Advice): AdviceReport {
  const { best, plans, candidates, statements } = advice
  const isTimed = statements.some(({ ms }) => ms > 0)
  const time = (share: number): number | null => (isTimed ? round(share) : null)
  const named = new Map(schema.tables.map((one) => [one.oid, written(one)]))
  return {
    ...{ statements: statements.length, unread: workload.unread },
    calls: rounded(best.shares.calls),
    time: isTimed ? rounded(best.shares.time) : null,
    tables: tablesOf(schema, best),
    obstacles: best.obstacles.map(({ table, what, todo }) => ({ table: named.get(table)!, what, todo })),
    ddl: declarations(schema, best.placements),
    plans: plans.map(({ key, judged: { shares } }) => ({
      ...{ key, calls: round(shares.calls.one), time: time(shares.time.one) },
    })),
    candidates: candidates.map((one) => ({
      ...{ table: named.get(one.table)!, column: one.column, chosen: one.isChosen },
      ...{ calls: round(one.calls), time: time(one.time) },
    })),
    others: othersOf(advice, time),
  }
}

function tablesOf({ tables }: Schema, { placements }: Judged): AdviceReport['tables'] {
  return tables
    .filter(({ under }) => under === undefined)
    .map((one) => {
      const placement = placements.get(one.oid) ?? LOCAL
      const key = placement.kind === 'sharded' ? placement.column : null
      return { table: written(one), kind: placement.kind, key, rows: one.rows, bytes: one.bytes }
    })
}

function othersOf(
  { best: { routes }, statements }: Advice,
  time: (share: number) => number | null,
): AdviceReport['others'] {
  const [calls, ms] = (['calls', 'ms'] as const).map((part) =>
    statements.reduce((sum, one) => sum + one[part], 0),
  )
  return statements
    .map((one, i) => ({ one, routed: routes[i]! }))
    .filter(({ routed }) => routed.reach !== 'one')
    .sort((a, b) => b.one.calls - a.one.calls)
    .map(({ one, routed: { reach, why, id } }) => ({
      ...{ reach, why: id === undefined ? why : `${id}: ${why}`, statement: one.text },
      ...{ calls: round(one.calls / calls!), time: time(ms === 0 ? 0 : one.ms / ms!) },
    }))
}

const round = (share: number): number => Math.round(share * 10_000) / 10_000
const rounded = (shares: Readonly<Record<Reach, number>>): Record<Reach, number> =>
  Object.fromEntries(Object.entries(shares).map(([reach, share]) => [reach, round(share)])) as Record<
    Reach,
    number
  >
