import { REACHES, type Reach, type Routed } from '../sql/workload/routed.ts'
import { type Dimension, dimensionsOf } from './candidates.ts'
import {
  isSamePlacement,
  LOCAL,
  type Obstacle,
  obstaclesOf,
  type Placement,
  type Placements,
  REFERENCE,
  shardedBy,
} from './placements.ts'
import { Routes, type Statement } from './routes.ts'
import type { Schema, TableFacts } from './schema.ts'
import type { Asked, Workload } from './workload.ts'

/** From 0 to 1. */
export interface Shares {
  readonly calls: Readonly<Record<Reach, number>>
  readonly time: Readonly<Record<Reach, number>>
}

export interface Judged {
  readonly placements: Placements
  readonly routes: readonly Routed[]
  readonly shares: Shares
  readonly obstacles: readonly Obstacle[]
  readonly score: number
}

export interface KeyCandidate {
  readonly table: number
  readonly column: string
  /** Of the statements that are about the table, those that would go to one shard, all other tables as in the best plan. */
  readonly calls: number
  readonly time: number
  readonly isChosen: boolean
}

export interface Advice {
  readonly best: Judged
  /** The best plan of each set of columns that could be the key, the best first. */
  readonly plans: readonly { readonly key: string; readonly judged: Judged }[]
  readonly candidates: readonly KeyCandidate[]
  readonly statements: readonly Statement[]
}

/** What a statement is worth when it is run so: reaching all shards does not scale, and the home shard is one server. */
const WORTH: Readonly<Record<Reach, number>> = {
  one: 1,
  some: 0.6,
  all: 0.25,
  local: 0.15,
  moves: 0,
  refused: -0.5,
}
/** What has to be changed in the schema first. */
const OBSTACLE_COST = 0.005
/** Of plans that are as good the one with more sharded tables: what is small today may grow. */
const KIND_COST: Readonly<Record<Placement['kind'], number>> = { sharded: 0, reference: 0.0005, local: 0.001 }

/** Copies of a table are on all shards, and each write goes to all of them. */
const REFERENCE_ROWS_MAX = 1_000_000
const REFERENCE_BYTES_MAX = 1 << 30
const REFERENCE_WRITES_MAX = 0.05

/** Those that come most often; each may have to be planned some hundred times. */
const STATEMENTS_MAX = 500
const DIMENSIONS_MAX = 8
const COLUMNS_MAX = 6
const ROUNDS_MAX = 4

export function advise(schema: Schema, workload: Workload): Advice {
  return new Advisor(schema, workload).advise()
}

class Advisor {
  private readonly schema: Schema
  private readonly routes: Routes
  private readonly tables: readonly TableFacts[]
  private readonly calls: number
  private readonly ms: number
  private readonly dimensions: readonly Dimension[]

  constructor(schema: Schema, workload: Workload) {
    this.schema = schema
    this.routes = new Routes(schema, heaviest(workload.statements))
    this.tables = schema.tables.filter(({ under }) => under === undefined)
    this.calls = sumOf(this.routes.statements, ({ calls }) => calls)
    this.ms = sumOf(this.routes.statements, ({ ms }) => ms)
    this.dimensions = dimensionsOf(schema, this.routes.statements, (one) => this.weight(one))
  }

  advise(): Advice {
    const plans = this.dimensions.slice(0, DIMENSIONS_MAX).map((dimension) => ({
      key: this.said(dimension),
      judged: this.climb(this.begun(dimension)),
    }))
    plans.sort((a, b) => b.judged.score - a.judged.score)
    const best = plans[0]?.judged ?? this.judge(new Map())
    return {
      best,
      plans: distinct(plans),
      candidates: this.candidates(best),
      statements: this.routes.statements,
    }
  }

  /** Its part of the whole workload, by calls and by time alike. */
  private weight({ calls, ms }: Statement): number {
    const ofCalls = this.calls === 0 ? 0 : calls / this.calls
    return this.ms === 0 ? ofCalls : (ofCalls + ms / this.ms) / 2
  }

  private said({ columns }: Dimension): string {
    const heaviest = [...columns].sort((a, b) => b.weight - a.weight)[0]!
    const table = this.tables.find(({ oid }) => oid === heaviest.table)
    return `${table?.name}.${heaviest.column}`
  }

  /** What has a column of the dimension is sharded by it; what has none is copied, or has a key of its own. */
  private begun({ columns }: Dimension): Placements {
    return new Map(
      this.tables.map((table) => {
        const own = this.preferred(
          table,
          columns.filter((one) => one.table === table.oid),
        )
        if (own !== undefined) return [table.oid, shardedBy(own)]
        if (this.mayBeCopied(table)) return [table.oid, REFERENCE]
        const other = this.columnsOf(table)[0]
        return [table.oid, other === undefined ? LOCAL : shardedBy(other)]
      }),
    )
  }

  private preferred(
    table: TableFacts,
    columns: readonly { readonly column: string; readonly weight: number }[],
  ) {
    const unique = (column: string): number =>
      table.uniques.every((one) => one.columns.includes(column)) ? 1 : 0
    return [...columns].sort((a, b) => unique(b.column) - unique(a.column) || b.weight - a.weight)[0]?.column
  }

  /** Columns that a table could be sharded by: those of which the workload says most, and those of its primary key. */
  private columnsOf(table: TableFacts): string[] {
    const weighed = this.dimensions.flatMap(({ columns }) => columns.filter((one) => one.table === table.oid))
    const byWeight = [...weighed].sort((a, b) => b.weight - a.weight).map(({ column }) => column)
    const primary = table.uniques.find(({ isPrimary }) => isPrimary)?.columns ?? []
    const all = [...new Set([...byWeight, ...primary])].filter((column) => table.keyTypes.has(column))
    return all.slice(0, COLUMNS_MAX)
  }

  /** Small, and seldom written. */
  private mayBeCopied({ oid, rows, bytes }: TableFacts): boolean {
    if (rows > REFERENCE_ROWS_MAX || bytes > REFERENCE_BYTES_MAX) return false
    const about = this.routes.statements.filter(({ tables }) => tables.includes(oid))
    const writes = sumOf(about, ({ target, calls }) => (target === oid ? calls : 0))
    return writes <= REFERENCE_WRITES_MAX * sumOf(about, ({ calls }) => calls)
  }

  private alternatives(table: TableFacts): Placement[] {
    const copied = this.mayBeCopied(table) ? [REFERENCE] : []
    return [...this.columnsOf(table).map(shardedBy), ...copied, LOCAL]
  }

  /** Each table is given what is best beside the others, until nothing is better. */
  private climb(begun: Placements): Judged {
    let best = this.judge(begun)
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const before = best.score
      for (const table of this.tables) {
        for (const placement of this.alternatives(table)) {
          if (isSamePlacement(placement, best.placements.get(table.oid) ?? LOCAL)) continue
          const judged = this.judge(new Map(best.placements).set(table.oid, placement))
          if (judged.score > best.score + 1e-9) best = judged
        }
      }
      if (best.score === before) break
    }
    return best
  }

  private judge(placements: Placements): Judged {
    const routes = this.routes.of(placements)
    const obstacles = obstaclesOf(this.schema, placements)
    const worth = sumOf(this.routes.statements, (one, i) => this.weight(one) * WORTH[routes[i]!.reach])
    const kinds = sumOf(this.tables, ({ oid }) => KIND_COST[(placements.get(oid) ?? LOCAL).kind])
    const score = worth - OBSTACLE_COST * obstacles.length - kinds
    return { placements, routes, shares: this.shares(routes), obstacles, score }
  }

  private shares(routes: readonly Routed[], isAbout: (one: Statement) => boolean = () => true): Shares {
    const { statements } = this.routes
    const of = (part: 'calls' | 'ms'): Record<Reach, number> => {
      const total = sumOf(statements, (one) => (isAbout(one) ? one[part] : 0))
      const share = (reach: Reach): number =>
        sumOf(statements, (one, i) => (isAbout(one) && routes[i]!.reach === reach ? one[part] : 0))
      return Object.fromEntries(
        REACHES.map((reach) => [reach, total === 0 ? 0 : share(reach) / total]),
      ) as Record<Reach, number>
    }
    return { calls: of('calls'), time: of('ms') }
  }

  private candidates({ placements }: Judged): KeyCandidate[] {
    return this.tables.flatMap((table) => {
      const isAbout = ({ tables }: Statement): boolean => tables.includes(table.oid)
      if (!this.routes.statements.some(isAbout)) return []
      const chosen = placements.get(table.oid) ?? LOCAL
      return this.columnsOf(table).map((column) => {
        const placement = shardedBy(column)
        const routes = this.routes.of(new Map(placements).set(table.oid, placement))
        const { calls, time } = this.shares(routes, isAbout)
        return {
          ...{ table: table.oid, column, calls: calls.one, time: time.one },
          isChosen: isSamePlacement(placement, chosen),
        }
      })
    })
  }
}

function heaviest(statements: readonly Asked[]): readonly Asked[] {
  if (statements.length <= STATEMENTS_MAX) return statements
  const [calls, ms] = (['calls', 'ms'] as const).map((part) => sumOf(statements, (one) => one[part]) || 1)
  const weight = (one: Asked): number => one.calls / calls! + one.ms / ms!
  return [...statements].sort((a, b) => weight(b) - weight(a)).slice(0, STATEMENTS_MAX)
}

function sumOf<T>(list: readonly T[], value: (one: T, i: number) => number): number {
  return list.reduce((sum, one, i) => sum + value(one, i), 0)
}

/** Climbing from several beginnings may end at one plan. */
function distinct(plans: Advice['plans']): Advice['plans'] {
  const seen = new Set<string>()
  return plans.filter(({ judged: { placements } }) => {
    const key = JSON.stringify([...placements].sort(([a], [b]) => a - b))
    const isNew = !seen.has(key)
    seen.add(key)
    return isNew
  })
}
