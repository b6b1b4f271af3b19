import type { Column, Relation } from '../catalog.ts'
import { as } from '../parse/ast.ts'
import { renumberParams } from './edited-text.ts'
import type { PartText } from './gather/gather-plan.ts'
import { undescribed } from './gather/sources.ts'
import { insertPlaces, selectPlaces } from './insert-places.ts'
import type { ForwardPlan, InsertSelectPlan, Plan } from './plan.ts'
import { columnsFor, type Insert, insertCommon, tailError } from './plan-insert.ts'
import { planMovedGathered } from './plan-insert-gathered.ts'
import {
  forwardTo,
  isSingle,
  keyHint,
  keysRoute,
  mixError,
  notYet,
  paramsToDescribe,
  placeError,
  refused,
  restrictionsOf,
  scatterError,
  unsupported,
} from './routing.ts'
import { itemsIn } from './text-scan.ts'
import { timedDefault } from './times/default-value.ts'
import { hasNotNullKey, hasUnstableDefault, keyNull } from './writes.ts'

/** The query runs on the home shard, and its rows go to the shards that own them (or to every copy). */
export function planInsertSelect(insert: Insert): Plan {
  const { a, node, relation, text, source } = insert
  const written = writtenColumns(insert)
  const error =
    tailError(insert) ?? homeQueryError(insert) ?? (written === 'unknown' ? partError(insert) : undefined)
  if (error) return refused(a, 'INSERT', error)
  const columns = source ? columnsFor(insert, widthOf(insert)) : []
  if (!columns) return askedColumns(insert) ?? refused(a, 'INSERT', unnamedColumns(insert))
  const fill = omitted(insert, columns).map((c) => ({
    column: c.name,
    expression: c.default ?? 'NULL',
    isKey: c.name === relation.key?.column,
  }))
  // A name that is no column of it is Postgres' to tell.
  const isKnown = columns.every((name) => name === '' || relation.columns.some((c) => c.name === name))
  if (isKnown && fill.some((f) => f.isKey && f.expression === 'NULL') && !hasNotNullKey(relation))
    return refused(a, 'INSERT', keyNull(relation))
  const places = insertPlaces(text, node)
  const parts = source
    ? selectPlaces(text, node, places.source)
    : { selectSql: 'SELECT', tailSql: selectPlaces(text, node, places.source).tailSql }
  const alias = node.relation?.alias?.aliasname
  const filled = new Set(fill.map((f) => f.column))
  const overriding =
    node.override === 'OVERRIDING_SYSTEM_VALUE' ||
    relation.columns.some((c) => c.identity === 'always' && filled.has(c.name))
  const plan: InsertSelectPlan = {
    ...insertCommon(a, node),
    generic: a.literalCount === 0,
    kind: 'insert-select',
    table: relation,
    ...(alias === undefined ? {} : { alias }),
    keyType: relation.key?.type ?? 'int4',
    columns,
    ...(Array.isArray(written) ? { written } : {}),
    ...parts,
    fill,
    overriding,
    hasReturning: node.returningClause !== undefined,
  }
  return plan
}

function homeQueryError(insert: Insert) {
  const { a, relation } = insert
  if (a.targets.length > 1) {
    return unsupported(
      'with_write',
      `a data-modifying WITH query before INSERT into "${relation.name}" is not supported`,
      'Run it as a statement of its own, in the same transaction.',
    )
  }
  return a.traits.queryText === undefined ? undefined : placeError(a)
}

/** How many columns the query gives. */
function widthOf(insert: Insert): number | undefined {
  const { a, ctx } = insert
  return a.block.arms[0]?.outputs?.length ?? ctx.described?.get(queryOf(insert).sql)?.length
}

/** The query with the WITH queries ahead, and the parameters that it names. */
function queryOf({ text, node }: Insert): PartText {
  const { sql, params } = renumberParams(selectPlaces(text, node, insertPlaces(text, node).source).selectSql)
  return { sql, params }
}

/** `SELECT *` of what the catalog does not describe: it is planned when home has told its columns. */
function askedColumns(insert: Insert): InsertSelectPlan | ForwardPlan | undefined {
  const { a, ctx, node, relation, source } = insert
  if (source === undefined) return undefined
  if (relation.columns.some((column) => timedDefault(column, a.catalog) !== undefined))
    return listedColumns(insert)
  const relations = ctx.outside === undefined ? undescribed(a, source, ctx) : []
  const query = queryOf(insert)
  const parts = relations.length > 0 || ctx.described?.has(query.sql) ? [] : [query]
  if (relations.length + parts.length === 0) return undefined
  return {
    ...insertCommon(a, node),
    kind: 'insert-select',
    table: relation,
    keyType: relation.key?.type ?? 'int4',
    columns: [],
    source: { kind: 'gather-outside', relations, parts },
    selectSql: '',
    fill: [],
    tailSql: '',
    hasReturning: node.returningClause !== undefined,
  }
}

/** Which defaults tell a time, the same on all shards, is seen in the text. */
function listedColumns(insert: Insert): ForwardPlan {
  const { a, node, text, relation } = insert
  const names = relation.columns.map(({ name }) => name)
  const at = insertPlaces(text, node).nameEnd
  const onSeveral = { kind: 'list-columns', query: queryOf(insert), at, names } as const
  return { ...insertCommon(a, node), generic: false, kind: 'forward', route: { kind: 'all' }, onSeveral }
}

/** Columns as the statement writes them, where parts of some are given; `unknown`: with more than constants in them. */
function writtenColumns({ text, node }: Insert): readonly (string | undefined)[] | 'unknown' | undefined {
  const isPart = (node.cols ?? []).map((col) => as(col, 'ResTarget')?.indirection !== undefined)
  if (!isPart.includes(true)) return undefined
  const items = itemsIn(text, insertPlaces(text, node).columnsOpen)
  const written = items.map(({ start, end }, i) => (isPart[i] ? text.slice(start, end) : undefined))
  return written.every((one) => one === undefined || /^[^$()]*$/.test(one)) ? written : 'unknown'
}

const partError = ({ relation }: Insert) =>
  unsupported(
    'insert_columns',
    `INSERT … SELECT into a part of a column of "${relation.name}" whose place is computed is not supported`,
    'Write its place as a constant.',
  )

function unnamedColumns(insert: Insert) {
  return unsupported(
    'insert_columns',
    `the columns that this query gives to "${insert.relation.name}" cannot be told from its text`,
    'List the columns after the table name.',
  )
}

/** Columns without a value that the shards must not fill by themselves. */
function omitted(insert: Insert, columns: readonly string[]): readonly Column[] {
  const { relation, a } = insert
  return relation.columns.filter((c) => {
    if (c.generated || columns.includes(c.name)) return false
    if (relation.kind === 'reference') return hasUnstableDefault(c, a.catalog)
    return c.usesSequence || c.name === relation.key?.column
  })
}

/** INSERT … SELECT from sharded tables: on the shards where its rows are read, or from there to those that own them. */
export function planShardedSelect(insert: Insert): Plan {
  const { a, ctx, node, relation } = insert
  const error = placeError(a)
  if (error) return refused(a, 'INSERT', error)
  const mixed = mixError(a)
  if (mixed) return planMovedGathered(insert) ?? refused(a, 'INSERT', mixed)
  const columns = columnsFor(insert, widthOf(insert))
  if (!columns) return askedColumns(insert) ?? refused(a, 'INSERT', unnamedColumns(insert))
  const sequence = omitted(insert, columns).find((c) => c.name !== relation.key?.column)
  if (sequence) {
    const what = `INSERT … SELECT from a sharded table that leaves "${sequence.name}" of "${relation.name}" to its default is not supported: it draws from a sequence`
    const refusal = unsupported('sequence_default', what, `Select a value for "${sequence.name}".`)
    return planMovedGathered(insert) ?? refused(a, 'INSERT', refusal)
  }
  const common = { ...insertCommon(a, node), paramsToDescribe: paramsToDescribe(a, ctx) }
  const restrictions = restrictionsOf(a.occurrences)
  if (restrictions && isSingle(restrictions)) return forwardTo(common, keysRoute(a, restrictions))
  const stays = staysOnShard(insert, columns)
  if (stays) {
    const route = restrictions ? keysRoute(a, restrictions) : ({ kind: 'all' } as const)
    return { ...common, kind: 'forward', route, onSeveral: { kind: 'sum' } }
  }
  const moved = movedSelect(insert) ?? planMovedGathered(insert)
  if (moved) return moved
  const why =
    tailError(insert) ??
    scatterError(a, a.solved.arms[0] ?? a.solved.status) ??
    notYet('several_shards', movingRows(insert), keyHint(a))
  if (!restrictions) return refused(a, 'INSERT', why)
  return {
    ...common,
    kind: 'forward',
    route: keysRoute(a, restrictions),
    onSeveral: { kind: 'refuse', error: why },
  }
}

/** Each shard gives its part of the query's rows, or one gives all of them; they go to the shards that own them. */
function movedSelect(insert: Insert): Plan | undefined {
  const { a, ctx } = insert
  const restrictions = restrictionsOf(a.occurrences.filter(({ column }) => column !== undefined))
  const isWhole = restrictions !== undefined && isSingle(restrictions)
  const status = a.solved.arms[0]
  if (!isWhole && (status?.kind !== 'part' || scatterError(a, status))) return undefined
  const plan = planInsertSelect(insert)
  if (plan.kind !== 'insert-select' || plan.fill.length > 0) return undefined
  const source = restrictions ? keysRoute(a, restrictions) : ({ kind: 'all' } as const)
  return { ...plan, source, paramsToDescribe: paramsToDescribe(a, ctx) }
}

function movingRows(insert: Insert): string {
  const { name, key } = insert.relation
  return `INSERT … SELECT that does not take "${key?.column}" of "${name}" from the shard key of a colocated table`
}

function staysOnShard(insert: Insert, columns: readonly string[]): boolean {
  const { a, relation } = insert
  const status = a.solved.arms[0]
  const output = a.block.arms[0]?.outputs?.[columns.indexOf(relation.key?.column ?? '')]
  if (status?.kind !== 'part' || output?.info.key === undefined || tailError(insert)) return false
  if (status.keys.get(output.info.key) !== relation.colocation) return false
  if (
    !a.occurrences.every((o) => o.relation.colocation !== relation.colocation || fits(o.relation, relation))
  ) {
    return false
  }
  return scatterError(a, status) === undefined
}

/**
 * Storing a key of `from` as a key of `into` leaves the value as it is: a type modifier (`varchar(3)`, `numeric(6,1)`,
 * `timestamp(0)`) rounds or cuts, and the row would belong to another shard.
 */
function fits(from: Relation, into: Relation): boolean {
  const [source, target] = [from.key, into.key]
  if (target?.typmod === undefined || source === undefined) return true
  return source.type === target.type && source.typmod === target.typmod
}
