import type { Catalog } from '../../sql/catalog.ts'
import { withUnseen } from '../../sql/code/unseen.ts'
import type { CatalogSource, SessionState } from '../execute/context.ts'
import { type Planner, type PlanScope, planVersion } from '../execute/plans/planner.ts'

/** Under what a session's statements are planned: the catalog, its search path, its temporary tables. */
export class SessionScope {
  private readonly catalogs: CatalogSource
  private readonly planner: Planner
  private readonly state: SessionState
  private scope: PlanScope | undefined
  /** What a scope of its own was made of. */
  private base: Catalog | undefined
  /** The scope is of an uncommitted catalog: it holds until the transaction ends. */
  private keeps = false
  path: readonly string[] = []
  private pushdown = true

  constructor(catalogs: CatalogSource, planner: Planner, state: SessionState) {
    this.catalogs = catalogs
    this.planner = planner
    this.state = state
  }

  /** The effective search path changed (SET, role, ROLLBACK). */
  setPath(path: readonly string[]): void {
    this.path = path
    this.scope = undefined
  }

  /** `weft.pushdown` may have changed. */
  setPushdown(pushdown: boolean): void {
    if (pushdown === this.pushdown) return
    this.pushdown = pushdown
    this.scope = this.keeps && this.scope !== undefined ? { ...this.scope, pushdown } : undefined
  }

  forget(): void {
    this.keeps = false
    this.scope = undefined
  }

  /** The scope shared by all sessions alike, unless this one has names of its own. */
  current(): PlanScope {
    const catalog = this.catalogs.current
    const known = this.scope
    const { tempTables, tempCode } = this.state
    if (known !== undefined) {
      const isOwn = known.cache === undefined
      if (isOwn && this.keeps) return known
      // What was planned and described under it holds for as long as nothing has changed.
      if (isOwn ? this.base === catalog && known.tempTables === tempTables : isLive(known, catalog))
        return known
    }
    this.keeps = false
    this.scope =
      tempTables.size + tempCode.length > 0
        ? this.privateScope(catalog)
        : this.planner.scope(catalog, this.path, this.pushdown)
    return this.scope
  }

  /** Plans with the transaction's own, uncommitted catalog until `forget`. */
  usePrivate(catalog: Catalog): void {
    this.scope = this.privateScope(catalog)
    this.keeps = true
  }

  private privateScope(catalog: Catalog): PlanScope {
    const { tempTables, tempCode } = this.state
    this.base = catalog
    const known = catalog.code === undefined ? catalog : withUnseen(catalog, catalog.code, tempCode)
    const scope = this.planner.privateScope(known, this.path, tempTables)
    return this.pushdown ? scope : { ...scope, pushdown: false }
  }
}

function isLive(scope: PlanScope, catalog: Catalog): boolean {
  return scope.catalog === catalog && scope.cache?.version === planVersion(catalog)
}
