/**
 * Writes of reference tables that have triggers (docs/decisions/0080-triggers-of-copies-at-home.md). The triggers are on
 * home alone: home runs the statement as if the table were a local one, and returns each row that it wrote as it came out;
 * the other copies are given those rows, by primary key. PURE.
 */
import { type Catalog, type Column, type Relation, rowKey, underlying } from '../catalog.ts'
import { EFFECT } from '../code/effects.ts'
import type { Reach } from '../code/overreach.ts'
import { as, columnNode, type InsertStmt, type Node, type UpdateStmt } from '../parse/ast.ts'
import type { ParsedStatement } from '../parse/parse.ts'
import type { Analysis } from '../place/analyze.ts'
import { printed } from '../print/printed.ts'
import type { WriteTarget } from '../tree/builder.ts'
import { castType } from './cast-type.ts'
import { aliasOf } from './gather/from-items.ts'
import { type GatherInput, ownName } from './gather/gather-plan.ts'
import { expressionNode } from './gather/made-nodes.ts'
import { SAFE_SETTINGS } from './gather/plan-gather.ts'
import { FORMAT, transportOf } from './gather/transport.ts'
import { ofStatement } from './of-statement.ts'
import type { Plan, PlanContext } from './plan.ts'
import { REACHES_NOTHING, tableName } from './reach.ts'
import { refused, unsupported } from './routing.ts'
import { eventsOf, FIRES, isUpsert } from './statement-triggers.ts'
import { quoteName, quoteTable } from './text-scan.ts'

/** How such a statement is run. */
export interface HomeFirstStep {
  readonly kind: 'home-first'
  /** Home runs it: rows of `input` with the client's own columns behind. Parameters have the client's numbers. */
  readonly sql: string
  readonly input: GatherInput
  /** Run on the other copies over the columns of `input`, as arrays. */
  readonly copy: string
  /** Told, when home has run it, whether values that travel as texts come out as they were. */
  readonly safe?: string
}

/** Undefined: no trigger of a reference table fires, or the statement cannot be run so (`alikeOnCopies`). */
export function homeFirst(
  a: Analysis,
  stmt: ParsedStatement,
  ctx: PlanContext,
  planned: (catalog: Catalog) => Plan,
): Plan | undefined {
  const [target, ...more] = a.targets
  if (target === undefined || !fires(target) || a.catalog.shardCount === 1) return undefined
  if (more.length > 0 || ctx.around !== undefined || a.traits.currentOf !== undefined) return undefined
  const relation = target.relation!
  const mayTell = a.occurrences.length === 0 && !actionsFire(target) && !hidesCode(a, target, stmt.text)
  const step = mayTell ? stepOf(stmt, target, relation) : undefined
  const plan = step && planned(atHome(a.catalog, relation))
  if (plan?.kind !== 'forward' || plan.route.kind !== 'home' || plan.sentAs !== undefined) return undefined
  return {
    ...plan,
    generic: false,
    route: { kind: 'all' },
    onSeveral: step!,
    reach: reachOf(relation),
  }
}

/**
 * What triggers did beside is seen: they may change no other table that more than home has, and all copies of this one have
 * to count the same rows.
 */
function reachOf(table: Relation): Reach {
  const ofCopies = { ...REACHES_NOTHING, onCopies: true }
  return table.isReferred ? ofCopies : { ...ofCopies, copied: { tables: [tableName(table)], how: 'rows' } }
}

const writtenTable = ({ relation }: WriteTarget): Relation | undefined => relation && underlying(relation)

/** Whether triggers of a reference table fire. */
const fires = (target: WriteTarget): boolean =>
  ((writtenTable(target)?.copyTriggers ?? 0) & eventsOf(target)) !== 0

/** … or those of one to which foreign keys lead. */
const actionsFire = (target: WriteTarget): boolean =>
  ((writtenTable(target)?.actionsFire ?? 0) & eventsOf(target)) !== 0

/**
 * What foreign keys do to rows that refer to the table looks like what a trigger does to home's part of them, or to home's
 * copy: then no code may that speaks of such tables, or of any.
 */
function hidesCode({ catalog }: Analysis, { relation }: WriteTarget, text: string): boolean {
  if (relation?.isReferred !== true) return false
  return (ofStatement(catalog, text) & (EFFECT.reaches | EFFECT.dynamic)) !== 0
}

/** Code behind a local table does what looks like an action of another foreign key, and on home only. */
const actionsMix = (target: WriteTarget): boolean =>
  (eventsOf(target) & ~FIRES.insert) !== 0 && writtenTable(target)?.actionsMix === true

/** The plan, unless each copy would have rows of its own: the statement is not one that is run so. */
export function alikeOnCopies(plan: Plan, a: Analysis): Plan {
  if (a.catalog.shardCount === 1 || plan.kind === 'refused') return plan
  const refusing = (target: WriteTarget, error: typeof triggerError): Plan =>
    refused(a, plan.tag, error(target.verb, writtenTable(target)!.name))
  const mixed = plan.reach === undefined ? undefined : a.targets.find(actionsMix)
  if (mixed !== undefined) return refusing(mixed, mixError)
  const target = a.targets.find((each) => fires(each) || actionsFire(each))
  return target === undefined ? plan : refusing(target, actionsFire(target) ? actionError : triggerError)
}

/** The same of COPY. */
export function copyIntoError({ shardCount }: Pick<Catalog, 'shardCount'>, relation: Relation | undefined) {
  const isFired = shardCount > 1 && ((relation?.copyTriggers ?? 0) & FIRES.insert) !== 0
  return isFired ? triggerError('COPY', relation!.name) : undefined
}

function triggerError(verb: string, name: string) {
  return unsupported(
    'trigger',
    `this ${verb} of reference table "${name}", which has triggers, is not supported: it cannot be run on the home shard alone`,
    'Use INSERT, UPDATE or DELETE of this table by itself: without sharded tables, views, MERGE, new primary keys, and code that could reach them.',
  )
}

function mixError(verb: string, name: string) {
  return unsupported(
    'code_reaches_shards',
    `${verb} of reference table "${name}" is not supported: its foreign keys lead to a local table whose triggers may change what ` +
      'more than the home shard has, and to such tables',
    'What these triggers did there could not be told from what the foreign keys do. Change the local rows first, by a statement of its own.',
  )
}

function actionError(verb: string, name: string) {
  return unsupported(
    'trigger',
    `${verb} of reference table "${name}" is not supported: its foreign keys change rows of a reference table whose triggers fire then`,
    'They would fire on the home shard only. Change the rows that refer to it first, by a statement of its own.',
  )
}

/** The table is home's alone. */
function atHome(catalog: Catalog, { oid }: Relation): Catalog {
  return {
    ...catalog,
    resolve: (schema, name, path) => {
      const relation = catalog.resolve(schema, name, path)
      return relation?.oid === oid ? { ...relation, kind: 'local' } : relation
    },
    distributed: catalog.distributed.filter((relation) => relation.oid !== oid),
  }
}

function stepOf({ node }: ParsedStatement, target: WriteTarget, table: Relation): HomeFirstStep | undefined {
  if (table.kind !== 'reference' || table.through !== undefined || table.rowSecurity !== undefined)
    return undefined
  if (table.root !== undefined || table.isPartitioned || table.hasHeirs) return undefined
  const key = rowKey(table) ?? []
  const write = Object.values(node)[0] as Partial<InsertStmt & UpdateStmt>
  const sets = columnsSet(target, write)
  // Rows are told by what they had, and nobody can say what that was.
  if (sets.some((name) => key.includes(name)) || write.returningClause?.options !== undefined)
    return undefined
  const columns = travelling(target, table, key)
  const copy = columns && copyText(target, table, columns, key)
  const sql = copy && returning(node, write, columns!)
  if (sql === undefined) return undefined
  const transports = columns!.map((column) => transportOf(column))
  const input = {
    table: table.name,
    columns: transports,
    slots: columns!.map((_, i) => i),
    names: columns!.map(({ name }) => name),
  }
  const isText = transports.some(({ format }) => format === FORMAT.text)
  return { kind: 'home-first', sql, input, copy: copy!, ...(isText && { safe: `SELECT ${SAFE_SETTINGS}` }) }
}

function columnsSet(
  { verb }: WriteTarget,
  { targetList, onConflictClause }: Partial<InsertStmt & UpdateStmt>,
) {
  const list = verb === 'UPDATE' ? targetList : onConflictClause?.targetList
  return (list ?? []).map((item) => as(item, 'ResTarget')?.name ?? '')
}

/** What is told of each row; undefined: not all that could have become of it. */
function travelling(
  target: WriteTarget,
  { columns }: Relation,
  key: readonly string[],
): readonly Column[] | undefined {
  const { verb } = target
  if (verb === 'MERGE') return undefined
  const isKey = ({ name }: Column): boolean => key.includes(name)
  if (verb === 'DELETE') return key.length === 0 ? undefined : columns.filter(isKey)
  const stored = columns.filter(({ generated }) => !generated)
  if (verb === 'INSERT' && !isUpsert(target)) return stored
  // It can be set to its default only.
  const isFixed = (column: Column): boolean => column.identity === 'always' && !isKey(column)
  const isTold = key.length > 0 && key.every((name) => stored.some((column) => column.name === name))
  return !isTold || stored.some(isFixed) ? undefined : stored
}

const ROWS = ownName('rows')

/** Written by the role whose statement it is, with the rights that it has on each copy. */
function copyText(
  target: WriteTarget,
  relation: Relation,
  columns: readonly Column[],
  key: readonly string[],
): string {
  const { verb } = target
  const table = quoteTable(relation)
  const names = columns.map((column) => quoteName(column.name))
  const arrays = columns.map((column, i) => `$${i + 1}::${transportOf(column).arrayType}`)
  const rows = `ROWS FROM (${arrays.map((array) => `pg_catalog.unnest(${array})`).join(', ')}) AS ${ROWS} (${names.join(', ')})`
  const value = (column: Column): string => {
    const given = `${ROWS}.${quoteName(column.name)}`
    return transportOf(column).format === FORMAT.binary ? given : `CAST(${given} AS ${castType(column.type)})`
  }
  const isSame = columns
    .filter((column) => key.includes(column.name))
    .map((column) => `t.${quoteName(column.name)} = ${value(column)}`)
    .join(' AND ')
  if (verb === 'DELETE') return `DELETE FROM ONLY ${table} AS t USING ${rows} WHERE ${isSame}`
  // Those of the key, too: `=` holds for some that are not alike (1.0 and 1.00, texts of such collations).
  const set = columns.filter(({ identity }) => identity !== 'always')
  if (verb === 'UPDATE') {
    const list = set.map((column) => `${quoteName(column.name)} = ${value(column)}`)
    return `UPDATE ONLY ${table} AS t SET ${list.join(', ')} FROM ${rows} WHERE ${isSame}`
  }
  const insert =
    `INSERT INTO ${table} (${names.join(', ')}) OVERRIDING SYSTEM VALUE ` +
    `SELECT ${columns.map(value).join(', ')} FROM ${rows}`
  if (!isUpsert(target)) return insert
  const list = set.map((column) => `${quoteName(column.name)} = excluded.${quoteName(column.name)}`)
  return `${insert} ON CONFLICT (${key.map(quoteName).join(', ')}) DO UPDATE SET ${list.join(', ')}`
}

/** The client's statement, which returns the row's columns ahead of what it says. */
function returning(
  node: Node,
  { relation, returningClause }: Partial<InsertStmt & UpdateStmt>,
  columns: readonly Column[],
): string | undefined {
  const alias = aliasOf(relation!)
  const own = [
    expressionNode('CAST(0 AS pg_catalog.int4)'),
    ...columns.map((column) => columnNode(alias, column.name)),
  ].map((val) => ({ ResTarget: { val } }) as Node)
  const [kind] = Object.keys(node)
  const write = Object.values(node)[0] as object
  const exprs = [...own, ...(returningClause?.exprs ?? [])]
  return printed({ [kind!]: { ...write, returningClause: { ...returningClause, exprs } } } as unknown as Node)
}
