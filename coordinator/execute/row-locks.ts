import type { LockedTable, LockPlan } from '../../sql/plan/gather/gather-plan.ts'
import type { ExecContext } from './context.ts'
import type { FoundRow } from './found-rows.ts'
import { placesBy } from './modify-gathered.ts'
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
      await this.lock(some)
      if (await this.haveChanged(some)) return undefined
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

  private async lock(rows: readonly FoundRow[]): Promise<void> {
    const waits = this.tables.some(({ strength }) => !/ (?:NOWAIT|SKIP LOCKED)$/.test(strength))
    if (waits && this.plan.isOrdered) return this.lockInOrder(rows)
    for (const [i, table] of this.tables.entries()) {
      const places = new Places()
      for (const row of rows) addTo(places, row.places[i])
      await this.lockAll(table, places.without(table.locked), waits)
    }
  }

  /** One after the other, as Postgres does: who locks the same rows in the same order never waits for who waits for it. */
  private async lockInOrder(rows: readonly FoundRow[]): Promise<void> {
    let batch = new Places()
    let of: Table | undefined
    for (const row of rows) {
      for (const [i, table] of this.tables.entries()) {
        const place = row.places[i]
        if (place === undefined || table.locked.has(place)) continue
        if (of !== undefined && (of !== table || batch.shards[0] !== place.shard)) {
          await this.lockAll(of, batch, true)
          batch = new Places()
        }
        of = table
        batch.add(place)
      }
    }
    if (of !== undefined) await this.lockAll(of, batch, true)
  }

  /** `waits`: shard after shard, so that two who lock the same rows meet on the first. */
  private async lockAll(table: Table, places: Places, waits: boolean): Promise<void> {
    if (places.count === 0) return
    this.hasAsked = true
    const { look, strength, locked } = table
    const order = this.plan.isOrdered && waits ? table.order : ''
    const lock = (shards: readonly number[]) =>
      placesBy(this.ctx, `${look}${order} ${strength}`, places, true, shards)
    if (!waits) return locked.addAll(await lock(places.shards))
    for (const shard of places.shards) locked.addAll(await lock([shard]))
  }

  /** Those that could not be locked and are still as they were are left out from now on. */
  private async haveChanged(rows: readonly FoundRow[]): Promise<boolean> {
    let changed = 0
    for (const [i, table] of this.tables.entries()) {
      const missed = new Places()
      for (const row of rows) addTo(missed, row.places[i])
      const left = missed.without(table.locked)
      if (left.count === 0) continue
      const there = await placesBy(this.ctx, table.look, left, false)
      table.excluded.addAll(there)
      changed += left.without(there).count
    }
    return changed > 0
  }
}

function addTo(places: Places, place: Place | undefined): void {
  if (place !== undefined) places.add(place)
}
