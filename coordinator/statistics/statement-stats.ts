import type { Lexed } from '../../sql/lex/lexed.ts'
import { normalizedText } from '../../sql/lex/normalized.ts'
import type { Plan } from '../../sql/plan/plan.ts'
import { REACHES, type Reach, routedPlan } from '../../sql/workload/routed.ts'

/** Statements of one fingerprint; a text of which the reach has changed has one for each. */
export interface StatementStat {
  readonly query: string
  readonly kind: string
  readonly route: Reach
  readonly total: Total
  calls: number
  ms: number
  minMs: number
  maxMs: number
  rows: number
  /** Shards asked, in all calls. */
  shards: number
}

/** Of all statements of a kind and route, those that are kept no more too. */
interface Total {
  calls: number
  readonly seconds: Buckets
}

/** What ran although it is refused over several shards was a statement for one. */
function ranTo(plan: Plan): Reach {
  const { reach } = routedPlan(plan)
  return reach === 'refused' ? 'one' : reach
}

interface Buckets {
  readonly counts: Float64Array
  sum: number
}

/** Milliseconds; the metric's are seconds. */
const BOUNDS_MS: readonly number[] = [
  0.2, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000,
]
export const statementBuckets: readonly number[] = BOUNDS_MS.map((ms) => ms / 1000)

const STATEMENTS_MAX = 5_000

/**
 * What ran on this node, by fingerprint. Counting takes a look-up and a few additions of numbers: texts are made when a
 * plan is, and metrics when somebody asks.
 */
export class StatementStats {
  private readonly byText = new Map<string, StatementStat>()
  private readonly byPlan = new WeakMap<Plan, StatementStat>()
  private readonly totals = new Map<string, Total>()
  private readonly seconds = new Map<Reach, Buckets>(REACHES.map((route) => [route, buckets()]))
  readonly begin = this.own('BEGIN')
  readonly commit = this.own('COMMIT')
  readonly rollback = this.own('ROLLBACK')
  /** Errors that clients were told, by SQLSTATE; and refusals, by id. */
  readonly errors = new Map<string, number>()
  readonly refusals = new Map<string, number>()

  /** The plan is that of the text: what runs by it is counted there. */
  planned(plan: Plan, sql: Buffer, lexed: Lexed): void {
    if (this.byPlan.has(plan) || plan.kind === 'empty' || plan.kind === 'refused' || !lexed.ok) return
    const isUtility = plan.kind === 'setting' || plan.kind === 'ddl'
    const text = normalizedText(sql, lexed, isUtility)
    this.byPlan.set(plan, this.statOf(text, plan.tag, ranTo(plan)))
  }

  of(plan: Plan): StatementStat | undefined {
    return this.byPlan.get(plan)
  }

  ran(stat: StatementStat, ms: number, rows: number, shards: number): void {
    const { total } = stat
    stat.calls++
    stat.ms += ms
    if (ms < stat.minMs) stat.minMs = ms
    if (ms > stat.maxMs) stat.maxMs = ms
    stat.rows += rows
    stat.shards += shards
    total.calls++
    let bucket = 0
    while (bucket < BOUNDS_MS.length && ms > BOUNDS_MS[bucket]!) bucket++
    total.seconds.counts[bucket]!++
    total.seconds.sum += ms / 1000
  }

  failed(code: string, refusal: string | undefined): void {
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1)
    if (refusal !== undefined) this.refusals.set(refusal, (this.refusals.get(refusal) ?? 0) + 1)
  }

  get all(): Iterable<StatementStat> {
    return this.byText.values()
  }

  /** Calls by kind and route, since the node started. */
  *calls(): Generator<readonly [{ kind: string; route: Reach }, number]> {
    for (const [key, { calls }] of this.totals) {
      const [kind = '', route] = key.split('\0')
      yield [{ kind, route: route as Reach }, calls]
    }
  }

  /** How long they took, by route. */
  durations(): ReadonlyMap<Reach, { readonly counts: ArrayLike<number>; readonly sum: number }> {
    return this.seconds
  }

  private own(verb: string): StatementStat {
    return this.statOf(verb, verb, 'local')
  }

  private statOf(query: string, kind: string, route: Reach): StatementStat {
    const key = `${route} ${query}`
    const known = this.byText.get(key)
    if (known !== undefined) return known
    if (this.byText.size >= STATEMENTS_MAX) this.forgetSome()
    const counts = { calls: 0, ms: 0, minMs: Number.POSITIVE_INFINITY, maxMs: 0, rows: 0, shards: 0 }
    const stat = { query, kind, route, total: this.totalOf(kind, route), ...counts }
    this.byText.set(key, stat)
    return stat
  }

  private totalOf(kind: string, route: Reach): Total {
    const key = `${kind}\0${route}`
    const known = this.totals.get(key)
    if (known !== undefined) return known
    const total = { calls: 0, seconds: this.seconds.get(route)! }
    this.totals.set(key, total)
    return total
  }

  /** Half of them, those that were called least. What runs by their plans counts in the totals only. */
  private forgetSome(): void {
    const byCalls = [...this.byText].sort(([, a], [, b]) => a.calls - b.calls)
    for (const [key] of byCalls.slice(0, STATEMENTS_MAX / 2)) this.byText.delete(key)
  }
}

const buckets = (): Buckets => ({ counts: new Float64Array(BOUNDS_MS.length + 1), sum: 0 })
