import type { Catalog, Relation } from '../catalog.ts'
import { as, type Node, paramsOf } from '../parse/ast.ts'
import type { ParsedStatement } from '../parse/parse.ts'
import type { PlanContext } from '../plan/plan.ts'
import type { Block } from '../tree/block.ts'
import { buildSelect } from '../tree/build.ts'
import type { Builder, WriteTarget } from '../tree/builder.ts'
import type { Constants } from '../tree/constants.ts'
import { buildCteModify, buildModify } from '../tree/modify.ts'
import { type Traits, traitsOf, unstableBecause } from '../tree/traits.ts'
import { type Level, type Occurrence, type Solved, solve } from './solve.ts'

/** Start and end of a literal, UTF-16 offsets in the statement's text. */
export interface LiteralRange {
  readonly start: number
  readonly end: number
}

export interface Analysis {
  readonly block: Block
  readonly solved: Solved
  /** The same of every level, by its node. */
  readonly levels: ReadonlyMap<object, Level>
  /** Every place where a sharded table is read or written. */
  readonly occurrences: readonly Occurrence[]
  /** Names of the local tables (system catalogs among them). */
  readonly locals: readonly string[]
  readonly references: readonly Relation[]
  /** Of these, the ones of which rows are locked (FOR UPDATE and its kin). */
  readonly lockedReferences: readonly Relation[]
  readonly targets: readonly WriteTarget[]
  /** Of the statement and the views it reads. */
  readonly traits: Traits
  readonly literals: Constants
  readonly literalCount: number
  readonly readsViews: boolean
  /** How often each parameter is used. */
  readonly params: ReadonlyMap<number, number>
  readonly catalog: Catalog
}

/** SELECT, VALUES, INSERT, UPDATE, DELETE and MERGE. */
export function analyze(
  stmt: ParsedStatement,
  ranges: readonly LiteralRange[],
  catalog: Catalog,
  ctx: PlanContext,
): Analysis {
  const literals = constantsOf(stmt.text, ranges, catalog, ctx)
  const b: Builder = {
    catalog,
    ctx,
    literals,
    views: [],
    locals: [],
    references: [],
    referenceAliases: [],
    targets: [],
    shardedCount: 0,
    nextId: 1,
    viewDepth: 0,
    build: { select: buildSelect, modify: buildCteModify },
  }
  const select = as(stmt.node, 'SelectStmt')
  const block = select ? buildSelect(b, select, undefined) : buildModify(b, stmt.node, undefined, false)
  const occurrences: Occurrence[] = []
  const unstable = (node: object, ordered: boolean) =>
    unstableBecause(traitsOf({ SelectStmt: node }, catalog), ordered)
  const levels = new Map<object, Level>()
  const isSelect = select !== undefined
  const solved = solve({ occurrences, ctes: new Map(), levels, isSelect, unstable }, block)
  const traits = traitsOf(stmt.node, catalog)
  for (const view of b.views) noteView(traits, view, catalog)
  return {
    block,
    solved,
    levels,
    occurrences,
    locals: b.locals,
    references: b.references,
    lockedReferences: lockedReferences(b, traits),
    targets: b.targets,
    traits,
    literals,
    literalCount: ranges.length,
    readsViews: b.views.length > 0,
    params: paramsOf(stmt.node),
    catalog,
  }
}

export function constantsOf(
  text: string,
  ranges: readonly LiteralRange[],
  catalog: Catalog,
  ctx: PlanContext,
): Constants {
  return {
    text,
    byStart: new Map(ranges.map((r, i) => [r.start, i])),
    ends: ranges.map((r) => r.end),
    catalog,
    ctx,
  }
}

/** In a view each shard tells a time of its own. */
function noteView(traits: Traits, view: Node, catalog: Catalog): void {
  const { begins } = traitsOf(view, catalog)
  traitsOf(view, catalog, traits)
  traits.viewBegins ??= begins
}

/** Without OF all are meant; OF a view means what is in it. */
function lockedReferences(b: Builder, { locksRows, locked }: Traits): readonly Relation[] {
  if (!locksRows) return []
  const names = b.views.length > 0 ? undefined : locked
  return b.references.filter((_, i) => names === undefined || names.includes(b.referenceAliases[i]!))
}
