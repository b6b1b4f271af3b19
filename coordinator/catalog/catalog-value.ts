import type { Catalog, KeyedFunction, Relation } from '../../sql/catalog.ts'
import { type CodePiece, codeGraph } from '../../sql/code/code-graph.ts'
import type { Procedures } from '../../sql/ends-transaction.ts'
import { drawnSequences } from './drawn-sequences.ts'
import { partialTables, tablesInFunctions } from './function-bodies.ts'
import { RelationLocked } from './locked-relations.ts'

export interface CatalogParts {
  readonly version: number
  readonly shardCount: number
  readonly slots: Uint16Array
  readonly relations: readonly Relation[]
  /** Tables and views of pg_catalog: a name of theirs is found before any in the search path. */
  readonly systemNames: ReadonlySet<string>
  /** Functions outside pg_catalog: name → what it runs, '' when that is not known. */
  readonly functionBodies: ReadonlyMap<string, string>
  readonly procedures?: Procedures
  readonly code?: readonly CodePiece[]
  /** See `Catalog`. */
  readonly unlikeFunctions?: ReadonlySet<string>
  readonly equalitySchemas?: ReadonlySet<string>
  readonly domainDefaults?: ReadonlyMap<string, string>
  readonly isWhole?: boolean
  readonly keyedFunctions?: ReadonlyMap<string, KeyedFunction>
}

/** Who asks for what could not be read waits for its lock, and for the catalog that is read then. */
function readable(relation: Relation | undefined): Relation | undefined {
  if (relation?.lockedBy !== undefined) throw new RelationLocked(relation.name, relation.lockedBy)
  return relation
}

const madeOf = new WeakMap<Catalog, CatalogParts>()

/** What a catalog was made of, for somebody who cannot be handed functions. */
export const partsOf = (catalog: Catalog): CatalogParts | undefined => madeOf.get(catalog)

/** The immutable value that the planner works with; `resolve` costs one or two Map look-ups a schema. */
export function makeCatalog(parts: CatalogParts): Catalog {
  const catalog = catalogOf(parts)
  madeOf.set(catalog, parts)
  return catalog
}

function catalogOf(parts: CatalogParts): Catalog {
  const schemas = new Map<string, Map<string, Relation>>()
  for (const relation of parts.relations) {
    const names = schemas.get(relation.schema) ?? new Map<string, Relation>()
    schemas.set(relation.schema, names.set(relation.name, relation))
  }
  const resolve: Catalog['resolve'] = (schema, name, searchPath) => {
    if (schema !== undefined) return readable(schemas.get(schema)?.get(name))
    const system = parts.systemNames.has(name)
    // Not listed, pg_catalog comes first.
    if (system && !searchPath.includes('pg_catalog')) return undefined
    for (const candidate of searchPath) {
      if (system && candidate === 'pg_catalog') return undefined
      const found = schemas.get(candidate)?.get(name)
      if (found !== undefined) return readable(found)
    }
    return undefined
  }
  // Local tables of any name resolve as an unknown one does; only these can be shadowed.
  const plannedNames = new Set([
    ...parts.relations.filter((r) => r.kind !== 'local').map((r) => r.name),
    ...drawnSequences(parts.relations),
  ])
  const locked = parts.relations.filter((r) => r.kind === 'view' && r.lockedBy !== undefined)
  const lockedViews = new Map(locked.map((r) => [r.name, r]))
  const inFunctions = tablesInFunctions(parts.functionBodies, parts.relations)
  return {
    version: parts.version,
    isWhole: parts.isWhole ?? true,
    shardCount: parts.shardCount,
    slots: parts.slots,
    resolve,
    distributed: parts.relations.filter((r) => r.kind === 'sharded' || r.kind === 'reference'),
    ...(parts.equalitySchemas === undefined ? {} : { equalitySchemas: parts.equalitySchemas }),
    ...(parts.domainDefaults === undefined ? {} : { domainDefaults: parts.domainDefaults }),
    ...(parts.unlikeFunctions === undefined ? {} : { unlikeFunctions: parts.unlikeFunctions }),
    hasName: (name) => plannedNames.has(name),
    isUserFunction: (name) => parts.functionBodies.has(name),
    ...(parts.keyedFunctions === undefined ? {} : { keyedFunctions: parts.keyedFunctions }),
    ...(parts.procedures === undefined ? {} : { procedures: parts.procedures }),
    ...(parts.code === undefined ? {} : { code: codeGraph(parts.code, partialTables(parts.relations)) }),
    tableInFunction: (name) => {
      const table = inFunctions.get(name)
      if (table !== undefined) readable(lockedViews.get(table))
      return table
    },
  }
}
