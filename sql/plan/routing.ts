import { weftError } from '../../errors/catalog.ts'
import type { PgError } from '../../errors/pg-error.ts'
import type { RefusalId, Refused } from '../../errors/refusals/refusals.ts'
import type { KeyType, Relation, ShardKey } from '../catalog.ts'
import type { Analysis } from '../place/analyze.ts'
import type { Occurrence, Status } from '../place/solve.ts'
import type { ColumnKey, ValueSet } from '../tree/facts.ts'
import type { Traits } from '../tree/traits.ts'
import type {
  ForwardPlan,
  KeyRestriction,
  PlanCommon,
  PlanContext,
  RefusedPlan,
  Route,
  ShardedName,
} from './plan.ts'

/** The fields that follow from what the statement calls and contains. */
export function commonFields(a: Analysis, tag: string, returnsRows: boolean): PlanCommon {
  const { traits } = a
  const locksHome = lockedInPart(a)
  return {
    tag,
    access: traits.writes || traits.locksRows || traits.modifies ? 'write' : 'read',
    effects: {
      pins: traits.pins,
      mayUnpin: traits.mayUnpin,
      taintsBackend: traits.taints,
      leaves: traits.leaves,
      sequences: 0,
      ...(locksHome === undefined ? {} : { locksHome }),
    },
    returnsRows,
    paramCount: Math.max(0, ...a.params.keys()),
    // A statement with another OFFSET may need another plan.
    generic: !traits.offsetLiteral,
    paramsToDescribe: [],
    outsideTransaction: false,
    ...(a.occurrences.length === 0 ? {} : { sharded: shardedNames(a) }),
  }
}

function shardedNames({ occurrences }: Analysis): readonly ShardedName[] {
  const keys = new Map(occurrences.map(({ relation: { name, key } }) => [name, key?.column ?? '']))
  return [...keys].map(([table, key]) => ({ table, key }))
}

/** A reference table whose locked rows the checks of foreign keys must find locked, on any shard. */
export function referredLock(a: Analysis): Relation | undefined {
  return a.traits.locksKeys
    ? a.lockedReferences.find(({ referredBy }) => referredBy !== undefined)
    : undefined
}

/** What writes to a reference table runs on all copies, and locks them alike. */
function lockedInPart(a: Analysis): PgError | undefined {
  if (a.catalog.shardCount === 1 || a.targets.some(({ relation }) => relation?.kind === 'reference'))
    return undefined
  const table = referredLock(a) ?? (a.occurrences.length > 0 ? a.lockedReferences[0] : undefined)
  if (table === undefined) return undefined
  return unsupported(
    'reference_row_lock',
    `locking rows of reference table "${table.name}" by this statement is not supported in a transaction: its copies could ` +
      'not be locked alike',
    'Lock them by a SELECT … FOR UPDATE of their own: no cursor, no part of another statement, without local tables, ' +
      'random() and functions of your own; ' +
      'or FOR NO KEY UPDATE, where no sharded table is in it.',
  )
}

/** An error of something that Weft does not do over several shards. */
export function notYet(id: RefusalId, what: string, hint?: string): PgError {
  return weftError('not_supported', { id, what: `${what} over several shards is not supported yet`, hint })
}

export function unsupported(id: RefusalId, what: string, hint?: string): PgError {
  return weftError('not_supported', { id, what, hint })
}

/** What a statement would be refused for, were there no other way to run it. */
export function becauseOf({ message }: PgError): Pick<ForwardPlan, 'because'> {
  return {
    because: message.replace(
      / (?:over several shards )?(?:is not supported.*|cannot be used in one statement)$/,
      '',
    ),
  }
}

export function refused(a: Analysis, tag: string, error: PgError): RefusedPlan {
  return { ...commonFields(a, tag, false), kind: 'refused', error }
}

const ONE_SHARD = weftError('internal', { what: 'a statement for one shard came out as several' })

/** For routes that always come out as one shard, or fail. */
export const NEVER_SEVERAL: ForwardPlan['onSeveral'] = { kind: 'refuse', error: ONE_SHARD }

export function forwardTo(common: PlanCommon, route: Route): ForwardPlan {
  return { ...common, kind: 'forward', route, onSeveral: NEVER_SEVERAL }
}

/** Rows of a view have no places, by which those of a table are found when what goes with them has been gathered. */
export const TABLE_ITSELF = 'Write the table itself.'

/** How to make the statement one for a single shard, or to have its rows gathered. */
export function keyHint(a: Analysis): string {
  if (a.targets.some(({ relation }) => relation?.through !== undefined)) return TABLE_ITSELF
  const first = a.occurrences.find((o) => o.set === undefined) ?? a.occurrences[0]
  const key = first?.relation.key?.column ?? 'key'
  return `Restrict the shard key "${key}" of "${first?.relation.name}" to one value, as in WHERE ${key} = $1.`
}

/** Everything is on the home shard, or refused: sharded rows and local tables are never at one place. */
export function mixError(a: Analysis): PgError | undefined {
  const sharded = a.occurrences[0]?.relation.name
  const local = a.locals[0]
  if (sharded === undefined || local === undefined) return undefined
  const hint = local.startsWith('pg_')
    ? 'Query the catalog in a statement of its own.'
    : `Make a copy of it on every shard: SELECT create_reference_table('${local}').`
  return unsupported(
    'local_with_sharded',
    `sharded table "${sharded}" and local table "${local}" cannot be used in one statement`,
    hint,
  )
}

/** A function runs on one shard, and what it reads or writes there is that shard's part. */
export function functionError({ partial }: Traits): PgError | undefined {
  if (partial === undefined) return undefined
  return unsupported(
    'function_names_table',
    `function ${partial.name} names sharded or reference table "${partial.table}": that is not supported`,
    'It would see one shard only. Run its statements from the client, in one transaction.',
  )
}

/** Functions that mean something on the home shard only, in a statement that runs elsewhere. */
export function placeError(a: Analysis): PgError | undefined {
  const { traits } = a
  if (traits.home !== undefined && a.occurrences.length > 0) {
    return unsupported(
      'home_function',
      `${traits.home} in a statement on a sharded table is not supported`,
      'Call it in a statement of its own first, and pass the result.',
    )
  }
  if (traits.queryText !== undefined && a.catalog.distributed.length > 0) {
    return unsupported('query_as_text', `${traits.queryText} is not supported: it would read one shard only`)
  }
  return undefined
}

/** What of the whole statement cannot be right when several shards run it, each for itself. */
export function scatterObstacle(a: Analysis): Refused | undefined {
  const { viewBegins, server, systemColumn, currentOf, sample, sampleOfWhole, user } = a.traits
  if (viewBegins !== undefined) return { id: 'view_time', what: `${viewBegins} in a view`, hint: TIME_HINT }
  if (systemColumn !== undefined) return { id: 'system_column', what: systemColumn }
  if (server !== undefined) return { id: 'server_value', what: server }
  if (currentOf !== undefined) return { id: 'current_of', what: 'WHERE CURRENT OF' }
  if (sample && (sampleOfWhole || a.references.length > 0)) return { id: 'sample', what: 'TABLESAMPLE' }
  return user === undefined ? undefined : { id: 'user_function', what: `function ${user}` }
}

const TIME_HINT = 'Each shard would tell its own. Say the time in the statement, not in the view.'

export function scatterError(a: Analysis, status: Status): PgError | undefined {
  const whole = scatterObstacle(a)
  if (whole !== undefined) return notYet(whole.id, whole.what, whole.hint ?? keyHint(a))
  const hasNested = a.targets.some((t) => t.nested)
  if (status.kind === 'bad') {
    const id = hasNested ? 'with_write' : 'several_shards'
    return notYet(id, status.obstacle.what, status.obstacle.hint ?? keyHint(a))
  }
  if (hasNested) return notYet('with_write', 'a data-modifying WITH query', keyHint(a))
  return status.kind === 'part' ? undefined : notYet('several_shards', 'this statement', keyHint(a))
}

/** The restrictions of all occurrences, each once; undefined when one has none. */
export function restrictionsOf(occurrences: readonly Occurrence[]): KeyRestriction[] | undefined {
  const restrictions: KeyRestriction[] = []
  const seen = new Set<string>()
  for (const { relation, set, converted } of occurrences) {
    const key = relation.key
    if (!set || !key) return undefined
    const base: KeyRestriction = { keyType: key.type, values: set.values.map((v) => v.value) }
    const restriction = converted ? { ...base, assigned: assignedTo(relation, key) } : base
    const print = JSON.stringify(restriction)
    if (!seen.has(print)) restrictions.push(restriction)
    seen.add(print)
  }
  return restrictions
}

function assignedTo(
  { columns }: Relation,
  { index, typmod }: ShardKey,
): NonNullable<KeyRestriction['assigned']> {
  return {
    ...(typmod === undefined ? {} : { typmod }),
    ...(columns[index]?.notNull ? { notNull: true } : {}),
  }
}

export function keysRoute(a: Analysis, restrictions: readonly KeyRestriction[]): Route {
  if (restrictions.length < 2) return { kind: 'keys', restrictions }
  const tables = [...new Set(a.occurrences.map((o) => `"${o.relation.name}"`))].join(' and ')
  const spread = notYet(
    'different_keys',
    `a statement that uses ${tables} with different shard keys`,
    'Use the same shard key value everywhere, or join the tables on their shard keys.',
  )
  return { kind: 'keys', restrictions, spread }
}

/** One shard, whatever the values are. */
export function isSingle(restrictions: readonly KeyRestriction[]): boolean {
  return restrictions.every((r) => r.values.length === 1)
}

/** Parameters that give keys and whose type another place of the statement may decide. */
export function paramsToDescribe(a: Analysis, ctx: PlanContext): number[] {
  const keyTypes = new Map<ColumnKey, KeyType>()
  for (const o of a.occurrences) if (o.column !== undefined) keyTypes.set(o.column, o.relation.key!.type)
  const found = new Set<number>()
  for (const { relation, set, column } of a.occurrences) {
    if (!set) continue
    const direct = column === undefined || isDirect(set, keyTypes, relation.key!.type)
    for (const { source, castTo } of set.values.map((v) => v.value)) {
      if (source.kind !== 'param' || (ctx.paramTypes[source.number - 1] ?? 0) !== 0) continue
      const once = a.params.get(source.number) === 1
      if (!once || !(direct || castTo !== undefined)) found.add(source.number)
    }
  }
  return [...found].sort((x, y) => x - y)
}

function isDirect(set: ValueSet, keyTypes: ReadonlyMap<ColumnKey, KeyType>, keyType: KeyType): boolean {
  return set.direct !== undefined && keyTypes.get(set.direct) === keyType
}
