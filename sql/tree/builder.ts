import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import type { Catalog, Relation } from '../catalog.ts'
import type {
  CommonTableExpr,
  DeleteStmt,
  InsertStmt,
  MergeStmt,
  Node,
  RangeVar,
  UpdateStmt,
} from '../parse/ast.ts'
import type { PlanContext } from '../plan/plan.ts'
import type { Block, Cte, Scope } from './block.ts'
import type { Constants } from './constants.ts'

/** Views inside views beyond this are refused; Postgres would refuse a loop itself. */
const VIEW_DEPTH_MAX = 50

/** What the parts of the builder share for one statement. */
export interface Builder {
  readonly catalog: Catalog
  readonly ctx: PlanContext
  readonly literals: Constants
  /** Trees of the views that were opened: their functions count like the statement's. */
  readonly views: Node[]
  /** Names of local tables, in order. */
  readonly locals: string[]
  readonly references: Relation[]
  /** The names that the statement's own FROM items give to them, for FOR UPDATE OF. */
  readonly referenceAliases: string[]
  /** What the statement writes, the WITH queries' targets included. */
  readonly targets: WriteTarget[]
  shardedCount: number
  nextId: number
  viewDepth: number
  /** Set by the module that builds statements, so that FROM items and expressions can hold subqueries. */
  readonly build: {
    select(b: Builder, select: object, parent: Scope | undefined): Block
    modify(b: Builder, cte: CommonTableExpr, parent: Scope): Block
  }
}

export interface WriteTarget {
  readonly verb: 'INSERT' | 'UPDATE' | 'DELETE' | 'MERGE'
  /** Undefined: a local table, or one that Weft does not know. */
  readonly relation: Relation | undefined
  readonly node: InsertStmt | UpdateStmt | DeleteStmt | MergeStmt
  /** In a WITH query. */
  readonly nested: boolean
  /** A view that reads sharded or reference tables. */
  readonly overDistributed: boolean
}

export type Resolved =
  | { readonly kind: 'cte'; readonly cte: Cte }
  | { readonly kind: 'self' }
  | { readonly kind: 'local'; readonly name: string; readonly relation: Relation | undefined }
  | { readonly kind: 'relation'; readonly relation: Relation }

/** What a relation's name means: WITH queries first, then temporary tables, then the search path. */
export function resolveRelation(b: Builder, range: RangeVar, scope: Scope): Resolved {
  const name = range.relname ?? ''
  if (range.schemaname === undefined) {
    const cte = scope.ctes.get(name)
    if (cte === 'forward') {
      throw new PgError({
        severity: 'ERROR',
        code: '0A000',
        message: 'mutual recursion between WITH items is not implemented',
      })
    }
    if (cte === 'self') return { kind: 'self' }
    if (cte) return { kind: 'cte', cte }
    if (b.ctx.tempTables.has(name.toLowerCase()) && !scope.inView) {
      return { kind: 'local', name, relation: undefined }
    }
  }
  if (range.schemaname?.startsWith('pg_temp')) return { kind: 'local', name, relation: undefined }
  const relation = b.catalog.resolve(range.schemaname, name, scope.inView ? [] : b.ctx.searchPath)
  if (!relation || relation.kind === 'local') return { kind: 'local', name, relation }
  if (b.ctx.spread?.has(range)) return { kind: 'relation', relation: { ...relation, kind: 'reference' } }
  return { kind: 'relation', relation }
}

export function enterView(b: Builder): void {
  b.viewDepth++
  if (b.viewDepth > VIEW_DEPTH_MAX)
    throw weftError('not_supported', { id: 'nested_views', what: 'views nested this deep' })
}

export function leaveView(b: Builder): void {
  b.viewDepth--
}
