import type { LockedTable, LockPlan } from '../../../sql/plan/gather/gather-plan.ts'
import type { ExecContext } from '../context.ts'
import type { FoundRow } from './found-rows.ts'
import { placesBy } from './locked-places.ts'
import { type Place, Places } from './places.ts'

interface Table extends LockedTable {
  readonly locked: Places
  /** Others have locked them, or policies of UPDATE hide them. */
  readonly excluded: Places
}

/** Locks the rows that a query has found, where they are. */
export class RowLocks {
  private readonly ctx: ExecContext
  private readonly tables: readonly Table[]
  private readonly plan: LockPlan
  private readonly anywhere: number
  private hasAsked = false

  /** `anywhere`: a shard that has all tables. */
  constructor(ctx: ExecContext, plan: LockPlan, anywhere: number) {
    this.ctx = ctx
    this.plan = plan
    this.anywhere = anywhere
    this.tables = plan.tables.map((table) => ({ ...table, locked: new Places(), excluded: new Places() }))
  }

  get excluded(): number {
    return this.tables.reduce((sum, { excluded }) => sum + excluded.count, 0)
  }

  /**
   * Locks `wanted` of the rows, the first that can be. Fewer: the others cannot. Undefined: some have changed since they
   * were found, and may be others now.
   */
  async take(rows: readonly FoundRow[], wanted: number): Promise<readonly FoundRow[] | undefined> {
    const taken: FoundRow[] = []
    const left = rows.filter((row) => this.every(row, ({ excluded }, place) => !excluded.has(place)))
    for (let at = 0; taken.length < wanted && at < left.length; ) {
      const some = left.slice(at, at + wanted - taken.length)
      at += some.length
      if (!(await this.lock(some))) return undefined
      taken.push(...some.filter((row) => this.isLocked(row)))
    }
    return taken
  }

  /** Who may not lock is told so when there was nothing to lock, too. */
  async mayLock(): Promise<void> {
    const [table] = this.tables
    if (this.hasAsked || table === undefined) return
    const nowhere = new Places()
    await placesBy(this.ctx, `${table.look} ${table.strength}`, nowhere, true, [this.anywhere])
  }

  private isLocked(row: FoundRow): boolean {
    return this.every(row, ({ locked }, place) => locked.has(place))
  }

  private every({ places }: FoundRow, holds: (table: Table, place: Place) => boolean): boolean {
    return places.every((place, i) => place === undefined || holds(this.tables[i]!, place))
  }

  /** False: some have changed. */
  private async lock(rows: readonly FoundRow[]): Promise<boolean> {
    const waits = this.tables.some(({ strength }) => !/ (?:NOWAIT|SKIP LOCKED)$/.test(strength))
    if (waits && this.plan.isOrdered) return this.lockInOrder(rows)
    for (const [i, table] of this.tables.entries()) {
      const places = new Places()
      for (const row of rows) addTo(places, row.places[i])
      const missing = places.without(table.locked)
      // Two who lock the same rows meet on the first shard, and on none after one whose rows are to be looked for again.
      const parts = waits ? missing.shards.map((shard) => missing.on(shard)) : [missing]
      const text = waits ? `${table.whole}${table.keyOrder}` : table.look
      for (const part of parts) if (!(await this.lockAll(table, part, text))) return false
    }
    return true
  }

  /** One after the other, as Postgres does: who locks the same rows in the same order never waits for who waits for it. */
  private async lockInOrder(rows: readonly FoundRow[]): Promise<boolean> {
    let batch = new Places()
    let of: Table | undefined
    for (const row of rows) {
      for (const [i, table] of this.tables.entries()) {
        const place = row.places[i]
        if (place === undefined || table.locked.has(place)) continue
        if (of !== undefined && (of !== table || batch.shards[0] !== place.shard)) {
          if (!(await this.lockAll(of, batch, `${of.whole}${of.order}`))) return false
          batch = new Places()
        }
        of = table
        batch.add(place)
      }
    }
    return of === undefined || this.lockAll(of, batch, `${of.whole}${of.order}`)
  }

  /** False: some have changed. Those that could not be locked and are still as they were are left out from now on. */
  private async lockAll(table: Table, places: Places, text: string): Promise<boolean> {
    if (places.count === 0) return true
    this.hasAsked = true
    const { look, strength, locked, excluded } = table
    locked.addAll(await placesBy(this.ctx, `${text} ${strength}`, places, true))
    const missed = places.without(locked)
    if (missed.count === 0) return true
    const there = await placesBy(this.ctx, look, missed, false)
    const haveChanged = missed.without(there).count > 0
    // Of the whole, where one has changed, none was locked.
    if (text === look || !haveChanged) excluded.addAll(there)
    return !haveChanged
  }
}

function addTo(places: Places, place: Place | undefined): void {
  if (place !== undefined) places.add(place)
}
