import type * as Pg from '@pgsql/types'
import { weftError } from '../../errors/catalog.ts'
import type { Refused } from '../../errors/refusals/refusals.ts'
import type { Catalog } from '../catalog.ts'
import { ASKED_SETTING } from '../code/custom-settings.ts'
import { EFFECT, type Effects, NO_EFFECTS, STATE_EFFECTS } from '../code/effects.ts'
import { callLeavesForGood } from '../code/lasting-state.ts'
import { as, constantText, type NodeKind, qualified, strings, walk } from '../parse/ast.ts'
import { isAboutSessions } from './about-sessions.ts'
import * as fn from './functions.ts'
import { AT_ROW, ROW } from './row-numbers.ts'
import { limits } from './shape.ts'
import { isNamesake, timeCall, timeKeyword } from './time-calls.ts'

/** What a piece of the tree calls and does, everything below it included. */
export interface Traits {
  /** First function found of each sort, for the error; undefined when there is none. */
  user: string | undefined
  /** A function that sees one shard only of a table: both, for the error. */
  partial: { readonly name: string; readonly table: string } | undefined
  home: string | undefined
  server: string | undefined
  time: string | undefined
  /** One time for all in a statement of the client's (sql/plan/times); each shard's own in a view, a default or DDL. */
  begins: string | undefined
  /** The same in a view that it reads: each shard's own. */
  viewBegins: string | undefined
  random: string | undefined
  /** Not known to give the same on every server for the same arguments and settings. */
  unlike: string | undefined
  queryText: string | undefined
  systemColumn: string | undefined
  writes: boolean
  locksRows: boolean
  /** The names after OF; undefined: all tables. Only with `locksRows`. */
  locked: string[] | undefined
  skipsLocked: boolean
  /** FOR UPDATE, with which the locks of foreign keys' checks conflict. */
  locksKeys: boolean
  modifies: boolean
  pins: boolean
  mayUnpin: boolean
  taints: boolean
  /** What may be left in a session, of what is Postgres' own and of functions when nothing is known of them. */
  leaves: Effects
  /** LIMIT, DISTINCT ON, windows and order-sensitive aggregates: the result can depend on the order of rows. */
  orderSensitive: string | undefined
  defaults: boolean
  /** The cursor of WHERE CURRENT OF. */
  currentOf: string | undefined
  sample: boolean
  /** … by a method that does not choose among the rows of a shard as among those of the whole table. */
  sampleOfWhole: boolean
  /** A string literal that is a time when it is read as one: 'now', 'today' and so on. */
  timeLiteral: string | undefined
  stringLiteral: boolean
  /** An OFFSET is a literal: another may not be 0. */
  offsetLiteral: boolean
  /** Parameters that an OFFSET without LIMIT names. */
  readonly skips: number[]
}

export function noTraits(): Traits {
  return {
    user: undefined,
    partial: undefined,
    home: undefined,
    server: undefined,
    time: undefined,
    begins: undefined,
    viewBegins: undefined,
    random: undefined,
    unlike: undefined,
    queryText: undefined,
    systemColumn: undefined,
    writes: false,
    locksRows: false,
    locked: [],
    skipsLocked: false,
    locksKeys: false,
    modifies: false,
    pins: false,
    mayUnpin: false,
    taints: false,
    leaves: NO_EFFECTS,
    orderSensitive: undefined,
    defaults: false,
    currentOf: undefined,
    sample: false,
    sampleOfWhole: false,
    timeLiteral: undefined,
    stringLiteral: false,
    offsetLiteral: false,
    skips: [],
  }
}

export function traitsOf(root: unknown, catalog: Catalog, into: Traits = noTraits()): Traits {
  walk(root, (kind, body) => note(into, kind, body, catalog))
  return into
}

/** What makes two runs of it on copies of the same data differ; undefined when nothing does. */
export function unstableBecause(t: Traits, ordered = true): string | undefined {
  const call = t.user ?? t.home ?? t.time ?? t.viewBegins ?? t.random ?? t.server ?? t.systemColumn
  return call ?? (ordered ? t.orderSensitive : undefined)
}

/** What makes it come out differently on the copies of a reference table; undefined when nothing does. */
export function unlikeBecause(t: Traits): string | undefined {
  return unstableBecause(t) ?? t.unlike
}

/** The same where each shard would tell a time of its own: defaults, DDL. */
export function unlikeOnShards(t: Traits): string | undefined {
  return unlikeBecause(t) ?? t.begins
}

function note(t: Traits, kind: NodeKind, body: object, catalog: Catalog): void {
  switch (kind) {
    case 'FuncCall':
      return noteCall(t, body as Pg.FuncCall, catalog)
    case 'SQLValueFunction': {
      const keyword = body as Pg.SQLValueFunction
      t.begins ??= timeKeyword(keyword)?.word
      if (keyword.op === 'SVFOP_CURRENT_CATALOG') t.server ??= 'CURRENT_CATALOG'
      return
    }
    case 'TypeCast': {
      const name = strings((body as Pg.TypeCast).typeName?.names).at(-1) ?? ''
      if (
        /^reg(class|type|proc|procedure|oper|operator|namespace|role|config|dictionary|collation)$/.test(name)
      )
        t.server ??= `a cast to ${name}`
      return
    }
    case 'ColumnRef': {
      const name = strings((body as Pg.ColumnRef).fields).at(-1) ?? ''
      if (fn.SYSTEM_COLUMNS.has(name)) t.systemColumn ??= `system column ${name}`
      return noteFields(t, strings((body as Pg.ColumnRef).fields).slice(1), catalog)
    }
    case 'A_Indirection':
      return noteFields(t, strings((body as Pg.A_Indirection).indirection), catalog)
    case 'SelectStmt':
      return noteSelect(t, body as Pg.SelectStmt)
    case 'LockingClause':
      return noteLocks(t, body as Pg.LockingClause)
    case 'InsertStmt':
    case 'UpdateStmt':
    case 'DeleteStmt':
    case 'MergeStmt':
      t.modifies = true
      return
    case 'RangeTableSample':
      t.sample = true
      if (!samplesRowByRow(body as Pg.RangeTableSample)) t.sampleOfWhole = true
      t.orderSensitive ??= 'TABLESAMPLE'
      return
    case 'WindowDef':
      t.orderSensitive ??= 'a window function'
      return
    case 'JsonObjectAgg':
    case 'JsonArrayAgg':
      t.orderSensitive ??= 'a JSON aggregate'
      return
    case 'A_Const': {
      const text = (body as Pg.A_Const).sval?.sval
      if (text === undefined) return
      t.stringLiteral = true
      if (/^\s*(now|today|tomorrow|yesterday)\b/i.test(text)) t.timeLiteral ??= `'${text}'`
      return
    }
    case 'SetToDefault':
      t.defaults = true
      return
    case 'CurrentOfExpr':
      t.currentOf = (body as Pg.CurrentOfExpr).cursor_name ?? ''
      return
  }
}

function noteLocks(t: Traits, { lockedRels, strength, waitPolicy }: Pg.LockingClause): void {
  t.locksRows = true
  t.locksKeys ||= strength === 'LCS_FORUPDATE'
  t.skipsLocked ||= waitPolicy === 'LockWaitSkip'
  const names = (lockedRels ?? []).map((node) => as(node, 'RangeVar')?.relname ?? '')
  t.locked = names.length === 0 ? undefined : t.locked?.concat(names)
}

function noteSelect(t: Traits, select: Pg.SelectStmt): void {
  if (limits(select)) t.orderSensitive ??= 'LIMIT'
  if (as(select.limitOffset, 'A_Const')) t.offsetLiteral = true
  if (!select.limitCount) {
    const param = as(select.limitOffset, 'ParamRef')?.number
    if (param !== undefined) t.skips.push(param)
  }
  // DISTINCT is a list with one empty node, DISTINCT ON the list of its expressions.
  if (select.distinctClause?.some((node) => Object.keys(node).length > 0)) t.orderSensitive ??= 'DISTINCT ON'
}

const OWN_CALLS: ReadonlySet<string> = new Set([ASKED_SETTING, AT_ROW, ROW])

const OWN_HINT = 'Use create_distributed_table, create_reference_table or undistribute_table.'

/** Functions of Weft's that clients call, and that write on the home shard. */
const WRITES_AT_HOME: ReadonlySet<string> = new Set(['txn_id', 'stat_statements_reset'])

function noteCall(t: Traits, call: Pg.FuncCall, catalog: Catalog): void {
  const { schema, name } = qualified(call.funcname)
  if (schema === 'weft' && isAboutSessions(name)) return noteAboutSessions(t, name)
  if (schema === 'weft' && name === 'notify') {
    t.user ??= `${schema}.${name}()`
    t.writes = true
    return
  }
  if (schema === 'weft' && WRITES_AT_HOME.has(name)) {
    t.home ??= `${schema}.${name}()`
    t.writes = true
    return
  }
  if (schema === 'weft' && (isNamesake(name) || OWN_CALLS.has(name))) return
  if (schema === 'weft')
    throw weftError('not_supported', {
      id: 'weft_object',
      what: `${schema}.${name}() is Weft's own`,
      hint: OWN_HINT,
    })
  if (name === 'pg_export_snapshot' && catalog.shardCount > 1) throw weftError('not_supported', EXPORT)
  if (isOpaque(schema, name, catalog)) {
    t.user ??= `${name}()`
    const table = catalog.tableInFunction?.(name)
    if (table !== undefined) t.partial ??= { name: `${name}()`, table }
    leave(t, catalog.code === undefined ? STATE_EFFECTS : catalog.code.ofFunction(name))
    t.writes = true
    return
  }
  if (fn.isTimeFunction(name)) t.time ??= `${name}()`
  const begins = timeCall(call, catalog) !== undefined
  if (begins) t.begins ??= `${name}()`
  if (fn.isRandomFunction(name)) t.random ??= `${name}()`
  if (fn.isServerFunction(name)) t.server ??= `${name}()`
  if (fn.isHomeFunction(name)) t.home ??= `${name}()`
  if (!begins && catalog.unlikeFunctions?.has(name) && !isOfSession(name, call)) t.unlike ??= `${name}()`
  if (fn.readsQueryText(name)) t.queryText ??= `${name}()`
  if (fn.isWritingFunction(name)) t.writes = true
  if (fn.takesSessionLock(name)) t.pins = true
  if (fn.dropsSessionLock(name)) t.mayUnpin = true
  // pg_notify changes no setting, but what taints is looked at: in a transaction it is kept back until the commit.
  if (name === 'pg_notify') t.taints = true
  if (name === 'setseed') leave(t, EFFECT.seeds)
  if (callLeavesForGood(name)) leave(t, EFFECT.lasts)
  if (name === 'set_config')
    leave(t, constantText(call.args?.[0])?.toLowerCase() === 'seed' ? EFFECT.seeds : EFFECT.settings)
  if (fn.AGGREGATES.has(name) && !fn.ORDERLESS_AGGREGATES.has(name)) t.orderSensitive ??= `${name}()`
}

/** `t.f` and `(t).f` are calls of `f(t)`, where `t` has no such column. */
function noteFields(t: Traits, names: readonly string[], catalog: Catalog): void {
  for (const sval of names)
    if (catalog.isUserFunction(sval) && !columnsIn(catalog).has(sval))
      noteCall(t, { funcname: [{ String: { sval } }] }, catalog)
}

const COLUMNS = new WeakMap<Catalog, ReadonlySet<string>>()

function columnsIn(catalog: Catalog): ReadonlySet<string> {
  const known = COLUMNS.get(catalog)
  if (known !== undefined) return known
  const names = new Set(catalog.distributed.flatMap(({ columns }) => columns.map(({ name }) => name)))
  COLUMNS.set(catalog, names)
  return names
}

/** A setting that goes with the session to every server: custom ones do. */
function isOfSession(name: string, { args }: Pg.FuncCall): boolean {
  if (name !== 'current_setting') return false
  // A call stands for its name where the session has not had it (sql/plan/asked-settings.ts).
  const call = as(args?.[0], 'FuncCall')
  const asked = qualified(call?.funcname).name === ASKED_SETTING ? call?.args?.[0] : args?.[0]
  const setting = constantText(asked)?.toLowerCase() ?? ''
  return setting.includes('.') || fn.SETTINGS_ALIKE.has(setting)
}

/** Weft's own, which took the place of Postgres' (sql/plan/session-pids.ts). */
function noteAboutSessions(t: Traits, name: string): void {
  if (name !== 'pg_backend_pid') t.home ??= `${name}()`
  if (fn.isWritingFunction(name)) t.writes = true
}

function leave(t: Traits, effects: Effects): void {
  t.leaves |= effects & STATE_EFFECTS
  t.taints ||= t.leaves !== NO_EFFECTS
}

const EXPORT: Refused = {
  id: 'snapshot_export',
  what: 'pg_export_snapshot() is not supported',
  hint: 'A snapshot of one shard says nothing about the others. Use ISOLATION LEVEL REPEATABLE READ.',
}

/** A function that Weft cannot look into. */
export function isOpaque(schema: string | undefined, name: string, catalog: Catalog): boolean {
  if (schema === 'pg_catalog') return false
  return schema !== undefined || catalog.isUserFunction(name)
}

/** Row by row, or page by page: the samples of the shards together are a sample of the table. */
function samplesRowByRow({ method }: Pg.RangeTableSample): boolean {
  const { schema, name } = qualified(method)
  return (schema === undefined || schema === 'pg_catalog') && (name === 'bernoulli' || name === 'system')
}
