/**
 * Writes of reference tables that have triggers: they run on home as if the table were a local one, and what has become of
 * its rows is done to the other copies when the statement has run (docs/decisions/0068-triggers-of-copies.md). PURE.
 */
import { weftError } from '../../errors/catalog.ts'
import type { PgError } from '../../errors/pg-error.ts'
import { type Catalog, type Relation, underlying } from '../catalog.ts'
import { as } from '../parse/ast.ts'
import type { ParsedStatement } from '../parse/parse.ts'
import type { WriteTarget } from '../tree/builder.ts'
import type { Plan, PlanContext } from './plan.ts'
import { tableName } from './reach.ts'
import { statementTrigger } from './statement-triggers.ts'

const isNoted = (relation: Relation): boolean => relation.notesChanges === true

/** One that is written, and how. */
export interface NotedWrite {
  readonly relation: Relation
  readonly verb: string
}

export function notedIn(targets: readonly WriteTarget[]): readonly NotedWrite[] {
  return targets.flatMap(({ relation, verb, node }) =>
    relation !== undefined && isNoted(underlying(relation))
      ? [{ relation: underlying(relation), verb: 'onConflictClause' in node ? 'MERGE' : verb }]
      : [],
  )
}

export function copiedInto(
  { node }: ParsedStatement,
  catalog: Catalog,
  ctx: PlanContext,
): readonly NotedWrite[] {
  const copy = as(node, 'CopyStmt')
  const { relname = '', schemaname } = copy?.relation ?? {}
  if (copy?.is_from !== true || schemaname?.startsWith('pg_temp')) return []
  if (schemaname === undefined && ctx.tempTables.has(relname.toLowerCase())) return []
  const relation = catalog.resolve(schemaname, relname, ctx.searchPath)
  return relation && isNoted(relation) ? [{ relation, verb: 'INSERT' }] : []
}

/**
 * Their triggers run on home, which has a part of every sharded table. What foreign keys do to that looks like what a
 * trigger does, so triggers that name such a table are found ahead.
 */
export function triggerError(writes: readonly NotedWrite[], catalog: Catalog): PgError | undefined {
  for (const { relation, verb } of writes) {
    if (catalog.shardCount > 1 && verb !== 'INSERT' && relation.statementTriggers !== undefined)
      return statementTrigger(verb, relation.name)
    for (const { kind, name, text } of catalog.code?.piecesOf(`UPDATE "${relation.name}"`) ?? []) {
      if (kind !== 'write' || name !== relation.name) continue
      const [, routine, events] = TRIGGER.exec(text ?? '') ?? []
      if (routine === undefined || (/^(UPDATE|DELETE|INSERT)$/.test(verb) && !events!.includes(verb)))
        continue
      const table = catalog.tableInFunction?.(routine)
      if (table === undefined || catalog.distributed.some((r) => r.name === table && isNoted(r))) continue
      return weftError('not_supported', {
        id: 'code_reaches_shards',
        what: `a trigger of reference table "${relation.name}" that names table "${table}" is not supported: it would see, or change, a part of it`,
        hint: 'Run its statements from the client, in one transaction.',
      })
    }
  }
  return undefined
}

/** As the catalog gives it: the function's name, then the definition. */
const TRIGGER = /^(.+) CREATE (?:CONSTRAINT )?TRIGGER (.+) ON /

const local = new WeakMap<Catalog, Catalog>()

/** The catalog in which these tables are home's alone. */
export function withNotedAtHome(catalog: Catalog): Catalog {
  let known = local.get(catalog)
  if (known === undefined) {
    known = {
      ...catalog,
      resolve: (schema, name, path) => {
        const relation = catalog.resolve(schema, name, path)
        return relation && isNoted(relation) ? { ...relation, kind: 'local' } : relation
      },
      distributed: catalog.distributed.filter((relation) => !isNoted(relation)),
    }
    local.set(catalog, known)
  }
  return known
}

/** What code does to such tables is noted too. */
export function notingChanges(plan: Plan, catalog: Catalog): Plan {
  if (plan.kind === 'refused') return plan
  const { reach } = plan
  const noted = catalog.distributed.filter(isNoted).map(tableName)
  return {
    ...plan,
    notesChanges: true,
    ...(reach && { reach: { ...reach, tables: [...reach.tables, ...noted] } }),
  }
}
