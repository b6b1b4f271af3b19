import type { Catalog, Relation } from '../../catalog.ts'
import type { RangeVar } from '../../parse/ast.ts'
import { type ParsedStatement, parseStatements } from '../../parse/parse.ts'
import type { Around } from '../gather/gather-plan.ts'
import type { Plan, PlanContext } from '../plan.ts'
import { relationsUsed } from './relations.ts'
import { quoteName } from './text.ts'

/** What every planning function of this folder is given. */
export interface Scope {
  readonly stmt: ParsedStatement
  readonly catalog: Catalog
  readonly ctx: PlanContext
  /** Plans a statement inside this one: EXPLAIN, DECLARE, COPY (…), CREATE TABLE AS. */
  readonly planInner: (stmt: ParsedStatement, around?: Around) => Plan
}

/** Where a relation lives: whole on the home shard, or (something of it) on every shard. */
export type Place = 'home' | 'all'

export interface Name {
  readonly schema: string | undefined
  readonly name: string
}

export function nameOf(range: RangeVar | undefined): Name {
  return { schema: range?.schemaname, name: range?.relname ?? '' }
}

/** The name as an error message prints it. */
export function printed(name: Name): string {
  return name.schema === undefined ? name.name : `${name.schema}.${name.name}`
}

/** The name as SQL takes it whatever its letters are. */
export function quoted(name: Name): string {
  const own = quoteName(name.name)
  return name.schema === undefined ? own : `${quoteName(name.schema)}.${own}`
}

export function isTemporary(scope: Pick<Scope, 'ctx'>, { schema, name }: Name): boolean {
  if (schema !== undefined) return schema.startsWith('pg_temp')
  return scope.ctx.tempTables.has(name.toLowerCase())
}

/** The relation a name means; undefined for temporary ones and those Weft knows nothing of (both are local). */
export function resolve(scope: Pick<Scope, 'catalog' | 'ctx'>, name: Name): Relation | undefined {
  if (isTemporary(scope, name)) return undefined
  return scope.catalog.resolve(name.schema, name.name, scope.ctx.searchPath)
}

/** The sharded or reference table a name means, if it is one. */
export function resolveDistributed(scope: Scope, name: Name): Relation | undefined {
  const relation = resolve(scope, name)
  return relation?.kind === 'sharded' || relation?.kind === 'reference' ? relation : undefined
}

export function placeOf(scope: Scope, name: Name): Place {
  const relation = resolve(scope, name)
  if (relation === undefined || relation.kind === 'local') return 'home'
  return relation.kind === 'view' ? placeOfView(scope, relation) : 'all'
}

/** What a query or an expression reads, by kind. */
export interface Uses {
  readonly sharded: readonly Relation[]
  readonly reference: readonly Relation[]
  readonly local: readonly Name[]
  readonly temporary: readonly Name[]
}

/** Views count as what they are made of; catalogs of Postgres, which every shard has, do not count. */
export function usesOf(scope: Scope, tree: unknown): Uses {
  const uses = {
    sharded: [] as Relation[],
    reference: [] as Relation[],
    local: [] as Name[],
    temporary: [] as Name[],
  }
  collect(scope, tree, uses, new Set())
  return uses
}

type Collected = { sharded: Relation[]; reference: Relation[]; local: Name[]; temporary: Name[] }

function collect(scope: Scope, tree: unknown, into: Collected, viewsSeen: Set<number>): void {
  for (const range of relationsUsed(tree)) {
    const name = nameOf(range)
    if (isTemporary(scope, name)) {
      into.temporary.push(name)
      continue
    }
    const relation = resolve(scope, name)
    if (relation === undefined || relation.kind === 'local') {
      if (!isSystem(name)) into.local.push(name)
    } else if (relation.kind !== 'view') into[relation.kind].push(relation)
    else if (!viewsSeen.has(relation.oid)) {
      viewsSeen.add(relation.oid)
      collect(scope, parseDefinition(relation), into, viewsSeen)
    }
  }
}

/** As CREATE VIEW decided: with a local table among them it is on the home shard only. */
export function placeOfUses(uses: Uses): Place {
  if (uses.sharded.length > 0) return 'all'
  return uses.local.length > 0 || uses.temporary.length > 0 ? 'home' : 'all'
}

/** Over nothing but catalogs, values and functions; those, or their types, may be of local tables. */
export function isOverNothing({ sharded, reference, local, temporary }: Uses): boolean {
  return [sharded, reference, local, temporary].every((names) => names.length === 0)
}

export function isViewOverNothing(scope: Scope, name: Name): boolean {
  const relation = resolve(scope, name)
  return relation?.kind === 'view' && isOverNothing(usesOf(scope, parseDefinition(relation)))
}

function placeOfView(scope: Scope, view: Relation): Place {
  return placeOfUses(usesOf(scope, parseDefinition(view)))
}

export function parseDefinition(view: Relation): unknown {
  return view.definition === undefined ? undefined : parseStatements(view.definition)[0]?.node
}

function isSystem({ schema, name }: Name): boolean {
  if (schema === undefined) return name.startsWith('pg_')
  return schema === 'pg_catalog' || schema === 'information_schema'
}

/**
 * Whether a relation of this name coming or going can change what other statements' plans mean: it is, shadows, or
 * uncovers a sharded or reference table or a view.
 */
export function nameMatters(scope: Scope, name: Name): boolean {
  const { catalog, ctx } = scope
  if (catalog.hasName?.(name.name) === true) return true
  if (catalog.distributed.some((r) => r.name === name.name)) return true
  const known = [name.schema, undefined].map((s) => catalog.resolve(s, name.name, ctx.searchPath))
  return known.some((r) => r !== undefined && r.kind !== 'local')
}
