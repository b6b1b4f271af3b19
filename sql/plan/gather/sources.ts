import type { Catalog, Relation } from '../../catalog.ts'
import { type RangeVar, relationsOf, type SelectStmt, writtenName } from '../../parse/ast.ts'
import { parseStatements } from '../../parse/parse.ts'
import { type Analysis, analyze } from '../../place/analyze.ts'
import type { PlanContext } from '../plan.ts'
import { placeError, scatterError } from '../routing.ts'
import { relationsUsed } from '../utility/relations.ts'
import { isTemporary, nameOf } from '../utility/scope.ts'

/** What a FROM item's name stands for. */
export interface Source {
  readonly relation: Relation
  /** Where its rows are: a part of them on each shard, or all of them on any, or on the home shard. */
  readonly place: 'parts' | 'any' | 'home'
}

export type Sources =
  | { readonly kind: 'sources'; readonly byRange: ReadonlyMap<RangeVar, Source> }
  | { readonly kind: 'outside'; readonly relations: readonly string[] }
  /** Views whose rows no shard, and not all together, can give by their names. */
  | { readonly kind: 'views'; readonly views: readonly NamedView[] }

export interface NamedView {
  readonly range: RangeVar
  readonly definition: string
}

/** FROM items. */
export type Ranges = Pick<ReadonlySet<RangeVar>, 'has'>

/** Undefined: something that it reads cannot be gathered. `byTables`: what of it no view's name can stand for. */
export function sourcesOf(
  a: Analysis,
  select: SelectStmt,
  ctx: PlanContext,
  byTables: Ranges = new Set(),
): Sources | undefined {
  const byRange = new Map<RangeVar, Source>()
  const unknown = new Set<string>()
  const views: NamedView[] = []
  // A WITH query may have a table's name, and read that table.
  const used = new Set(relationsUsed({ SelectStmt: select }))
  for (const range of relationsOf({ SelectStmt: select }).filter((one) => used.has(one))) {
    const relation = isTemporary({ ctx }, nameOf(range))
      ? undefined
      : a.catalog.resolve(range.schemaname, range.relname ?? '', ctx.searchPath)
    const place = placeOf(range, relation, a.catalog)
    const view = ctx.outside?.get(writtenName(range))
    const isTables = byTables.has(range) && (relation?.kind === 'view' || view?.definition !== undefined)
    if ((place === undefined && relation?.kind === 'view') || isTables) {
      if (view === undefined) unknown.add(writtenName(range))
      else if (view.definition === undefined) return undefined
      else views.push({ range, definition: view.definition })
      continue
    }
    if (place === undefined) return undefined
    const known = relation !== undefined && isDescribed(relation) ? relation : told(range, relation, ctx)
    if (known === undefined) unknown.add(writtenName(range))
    else byRange.set(range, { relation: known, place })
  }
  if (unknown.size > 0) return { kind: 'outside', relations: [...unknown] }
  return views.length > 0 ? { kind: 'views', views } : { kind: 'sources', byRange }
}

/** A relation whose rows can be read neither from shards nor at home, as far as is known of it. */
export function hasNoPlace(a: Analysis, range: RangeVar, ctx: PlanContext): boolean {
  if (isTemporary({ ctx }, nameOf(range))) return false
  const relation = a.catalog.resolve(range.schemaname, range.relname ?? '', ctx.searchPath)
  return placeOf(range, relation, a.catalog) === undefined
}

/** Relations that the catalog does not describe, of a query whose columns hang on theirs. */
export function undescribed(a: Analysis, query: SelectStmt, ctx: PlanContext): string[] {
  const names = relationsOf({ SelectStmt: query }).filter((range) => {
    const relation = a.catalog.resolve(range.schemaname, range.relname ?? '', ctx.searchPath)
    const isLocal = relation === undefined || relation.kind === 'local' || isTemporary({ ctx }, nameOf(range))
    return isLocal && a.locals.includes(range.relname ?? '')
  })
  return [...new Set(names.map(writtenName))]
}

const isDescribed = ({ kind }: Relation): boolean => kind === 'sharded' || kind === 'reference'

function told(
  range: RangeVar,
  relation: Relation | undefined,
  { outside }: PlanContext,
): Relation | undefined {
  const found = outside?.get(writtenName(range))
  return found && { ...found, oid: relation?.oid ?? 0, kind: relation?.kind ?? 'local' }
}

function placeOf(
  range: RangeVar,
  relation: Relation | undefined,
  catalog: Catalog,
): Source['place'] | undefined {
  if (relation?.kind === 'sharded') return 'parts'
  if (relation?.kind === 'reference') return 'any'
  if (relation?.kind === 'view') return placeOfView(relation, catalog)
  return isAboutShards(range) ? undefined : 'home'
}

/** Lists of Postgres' own in which home tells of itself, or of what is Weft's. What is defined is the same on all. */
function isAboutShards({ schemaname, relname = '' }: RangeVar): boolean {
  if (schemaname === 'weft') return true
  return /^pg_(locks|cursors|prepared|stat|replication|wal)/.test(relname)
}

const BY_ITSELF: PlanContext = { searchPath: [], tempTables: new Set(), paramTypes: [] }

/** A view's rows are read by its name: with its owner's rights, and behind its barrier. */
function placeOfView(view: Relation, catalog: Catalog): Source['place'] | undefined {
  const [statement] = parseStatements(view.definition ?? '')
  if (statement === undefined) return undefined
  const a = analyze(statement, [], catalog, BY_ITSELF)
  const { traits, solved, occurrences, locals, references } = a
  // In the place of its name it is a time of the statement's.
  if ((traits.begins ?? traits.viewBegins ?? traits.timeLiteral) !== undefined) return undefined
  if (occurrences.length === 0) return locals.length === 0 && references.length > 0 ? 'any' : 'home'
  return locals.length === 0 && (placeError(a) ?? scatterError(a, solved.status)) === undefined
    ? 'parts'
    : undefined
}
