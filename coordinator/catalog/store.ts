import type { Catalog } from '../../sql/catalog.ts'
import type { InternalConnection } from './internal-connection.ts'
import { loadCatalog } from './load.ts'
import { versionSql } from './queries.ts'
import type { TypeNumbers } from './type-numbers.ts'

/** How long a node waits for a map version that an agent already knows to become visible on the home shard. */
const CATCH_UP_MS = 2_000
const CATCH_UP_PAUSE_MS = 10
const NUMBERS_WAIT_MS = 500
/** To read what was locked, when the lock is gone. */
const COMPLETE_AFTER_MS = 250

/** The node's copy of the catalog: replaced as a whole, never changed. */
export class CatalogStore {
  private value: Catalog
  private loading: Promise<void> | undefined
  private completing: NodeJS.Timeout | undefined
  private readonly home: InternalConnection
  private readonly shardCount: number
  readonly typeNumbers: TypeNumbers

  private constructor(
    value: Catalog,
    home: InternalConnection,
    shardCount: number,
    typeNumbers: TypeNumbers,
  ) {
    this.value = value
    this.home = home
    this.shardCount = shardCount
    this.typeNumbers = typeNumbers
  }

  static async open(
    home: InternalConnection,
    shardCount: number,
    typeNumbers: TypeNumbers,
  ): Promise<CatalogStore> {
    const value = await load(home, shardCount)
    await typeNumbers.refresh()
    const store = new CatalogStore(value, home, shardCount, typeNumbers)
    store.take(value)
    return store
  }

  get current(): Catalog {
    return this.value
  }

  /**
   * Loads until the version is at least `minVersion`. A version that an agent knows but the home shard never shows is
   * of a change that failed after its fence: the home shard's version is then raised past it, so that agents and
   * nodes agree again. Not while the change may still come: its transaction has the row locked then.
   */
  async reload(minVersion: number): Promise<Catalog> {
    const giveUpAt = performance.now() + CATCH_UP_MS
    while (this.value.version < minVersion) {
      await this.loadShared(minVersion)
      if (this.value.version >= minVersion) break
      if (performance.now() > giveUpAt) await this.raise(minVersion)
      else await new Promise((resolve) => setTimeout(resolve, CATCH_UP_PAUSE_MS))
    }
    return this.value
  }

  async hasNewer(version: number): Promise<boolean> {
    if (this.value.version > version) return true
    // A home that does not answer has none to tell.
    const rows = await this.home.query(versionSql).then(
      (answer) => answer.rows,
      () => [],
    )
    return Number(rows[0]?.[0] ?? 0) > version
  }

  /** Sessions that want it at the same time share one load; one that began before they asked may do for them, too. */
  private async loadShared(minVersion: number): Promise<void> {
    await this.loading
    if (this.value.version >= minVersion) return
    await this.load()
  }

  private load(): Promise<void> {
    this.loading ??= this.loadAll().finally(() => {
      this.loading = undefined
    })
    return this.loading
  }

  private take(loaded: Catalog): void {
    const { version, isWhole } = this.value
    if (loaded.version > version || (loaded.version === version && isWhole === false)) this.value = loaded
    if (this.value.isWhole === false) this.completeLater()
  }

  /** Until what was locked has been read, those who need it wait for the lock. */
  private completeLater(): void {
    if (this.completing !== undefined) return
    this.completing = setTimeout(() => {
      this.completing = undefined
      // A shard that is away tells of its return.
      this.again().catch(() => this.completeLater())
    }, COMPLETE_AFTER_MS)
    this.completing.unref()
  }

  /** Once more: what was locked may be free. */
  async again(): Promise<void> {
    await this.loading
    if (this.value.isWhole === false) await this.load()
  }

  private async loadAll(): Promise<void> {
    const numbers = this.typeNumbers.refresh()
    const catalog = await load(this.home, this.shardCount)
    // A shard that does not answer holds nobody up.
    let timer: NodeJS.Timeout | undefined
    await Promise.race([numbers, new Promise((resolve) => (timer = setTimeout(resolve, NUMBERS_WAIT_MS)))])
    clearTimeout(timer)
    this.take(catalog)
  }

  private async raise(minVersion: number): Promise<void> {
    await this.home.query(
      `UPDATE weft.meta SET version = greatest(version, ${Math.floor(minVersion)})
       WHERE ctid IN (SELECT ctid FROM weft.meta FOR UPDATE SKIP LOCKED)`,
    )
  }
}

function load(home: InternalConnection, shardCount: number): Promise<Catalog> {
  return home.exclusively((each) => loadCatalog(each, shardCount))
}
