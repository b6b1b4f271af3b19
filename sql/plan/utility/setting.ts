import type { DiscardStmt, VariableSetStmt, VariableShowStmt } from '@pgsql/types'
import { EFFECT } from '../../code/effects.ts'
import { as, type Node } from '../../parse/ast.ts'
import type { Plan, SettingPlan } from '../plan.ts'
import { common, forwardHome, MAY_UNPIN, type Overrides, PINS, refuse, refused } from './plans.ts'
import { isOff, isOn, refuseSetting } from './refuse-setting.ts'
import { WEFT_DEFAULTS } from './several-settings.ts'
import { quoteName, tokensOf } from './text.ts'
import { isolationOf, type Modes, modesOf, setCharacteristics } from './transaction.ts'

type Assignments = NonNullable<SettingPlan['assignments']>

/** SET, RESET and all their spellings. */
export function planSet(stmt: VariableSetStmt): Plan {
  const name = (stmt.name ?? '').toLowerCase()
  switch (stmt.kind) {
    case 'VAR_RESET':
      return setting('RESET', 'reset', { name })
    case 'VAR_RESET_ALL':
      return setting('RESET', 'reset-all')
    case 'VAR_SET_MULTI':
      return planSetMulti(stmt)
    case 'VAR_SET_DEFAULT':
      return planAssign(stmt, name, null)
    case 'VAR_SET_VALUE':
      return planAssign(stmt, name, valueText(name, stmt.args ?? []))
    default:
      return refuse(
        'SET',
        'setting',
        `SET ${name} FROM CURRENT is not supported outside a function definition`,
      )
  }
}

/** No value that could be shown and set again elsewhere, but a state of one backend. */
const SEEDS = { ...PINS, taintsBackend: true, leaves: EFFECT.seeds }

/** The same statement with another value may be refused. */
export const VALUE_MATTERS: Overrides = { generic: false }

const OWN_STRINGS =
  'SET it in the session, in the options of its connection, or of a function: CREATE FUNCTION … SET.'
const OWN_ENCODING = 'Each client says its own: the driver, PGCLIENTENCODING, or SET client_encoding.'

/** ALTER ROLE … SET and ALTER DATABASE … SET of what Postgres would keep, and Weft could not follow. */
export function refusedDefault(tag: string, stmt: VariableSetStmt | undefined): Plan | undefined {
  const name = (stmt?.name ?? '').toLowerCase()
  if (stmt?.kind === 'VAR_RESET' || stmt?.kind === 'VAR_RESET_ALL') return undefined
  if (name.startsWith('weft.') && !WEFT_DEFAULTS.some((known) => known === name)) {
    const hint = `SET it in the session, or in its connection's options: -c ${name}=…`
    return refuse(tag, 'setting', `${tag} … SET ${name} is not supported`, hint)
  }
  const value = valueText(name, stmt?.args ?? [])
  const isEncoding = name === 'client_encoding' && !/^(utf[-_ ]?8|unicode|sql_ascii)$/i.test(value ?? '')
  if (isEncoding) return refuse(tag, 'setting', `${tag} … SET client_encoding is not supported`, OWN_ENCODING)
  if (name === 'standard_conforming_strings' && isOff(value ?? ''))
    return refuse(
      tag,
      'setting',
      `${tag} … SET standard_conforming_strings = off is not supported`,
      OWN_STRINGS,
    )
  const error = typeof value === 'string' ? refuseSetting(name, value) : undefined
  return error === undefined ? undefined : refused(tag, error)
}

function planAssign(stmt: VariableSetStmt, name: string, value: string | null | undefined): Plan {
  if (name === 'seed') return forwardHome('SET', { access: 'read', effects: SEEDS })
  const modes = transactionModes(name, value)
  if (modes !== undefined) return setCharacteristics(modes)
  const error = typeof value === 'string' ? refuseSetting(name, value) : undefined
  if (error !== undefined) return refused('SET', error)
  // SET … TO DEFAULT is RESET by another name.
  if (value === null && stmt.is_local !== true) return setting('SET', 'reset', { name })
  return setting('SET', stmt.is_local ? 'set-local' : 'set', {
    name,
    ...(value === undefined ? {} : { assignments: [{ name, value }] }),
  })
}

/** SET TRANSACTION …, SET SESSION CHARACTERISTICS …, SET TRANSACTION SNAPSHOT. */
function planSetMulti(stmt: VariableSetStmt): Plan {
  if (stmt.name === 'TRANSACTION SNAPSHOT') {
    return refuse(
      'SET',
      'snapshot_export',
      'SET TRANSACTION SNAPSHOT is not supported',
      'A snapshot of one shard says nothing about the others. Use ISOLATION LEVEL REPEATABLE READ.',
    )
  }
  const modes = modesOf(stmt.args) ?? {}
  if (stmt.name === 'TRANSACTION') return setCharacteristics(modes)
  const assignments = defaultsOf(modes)
  const name = assignments[0]?.name
  return setting('SET', 'set', { assignments, ...(name === undefined ? {} : { name }) })
}

function defaultsOf(modes: Modes): Assignments {
  const onOff = (on: boolean) => (on ? 'on' : 'off')
  return [
    ...(modes.isolation === undefined
      ? []
      : [{ name: 'default_transaction_isolation', value: modes.isolation }]),
    ...(modes.readOnly === undefined
      ? []
      : [{ name: 'default_transaction_read_only', value: onOff(modes.readOnly) }]),
    ...(modes.deferrable === undefined
      ? []
      : [{ name: 'default_transaction_deferrable', value: onOff(modes.deferrable) }]),
  ]
}

/** `SET transaction_isolation = 'serializable'` is SET TRANSACTION in other words. */
function transactionModes(name: string, value: string | null | undefined): Modes | undefined {
  if (value === null || value === undefined) return undefined
  if (name === 'transaction_isolation') {
    const isolation = isolationOf(value)
    return isolation === undefined ? undefined : { isolation }
  }
  if (!isOn(value) && !isOff(value)) return undefined
  if (name === 'transaction_read_only') return { readOnly: isOn(value) }
  return name === 'transaction_deferrable' ? { deferrable: isOn(value) } : undefined
}

/** Settings whose value is a list of names, stored with each name quoted where it must be (GUC_LIST_QUOTE). */
const NAME_LISTS = new Set([
  'search_path',
  'temp_tablespaces',
  'local_preload_libraries',
  'session_preload_libraries',
  'shared_preload_libraries',
  'unix_socket_directories',
])

/** The value as `set_config` takes it; undefined when only Postgres can tell (SET TIME ZONE INTERVAL …). */
function valueText(name: string, args: readonly Node[]): string | undefined {
  const parts: string[] = []
  for (const arg of args) {
    const c = as(arg, 'A_Const')
    if (c === undefined) return undefined
    if (c.ival !== undefined) parts.push(String(c.ival.ival ?? 0))
    else if (c.fval !== undefined) parts.push(c.fval.fval ?? '0')
    else if (c.boolval !== undefined) parts.push(c.boolval.boolval ? 'true' : 'false')
    else if (c.sval === undefined) return undefined
    else parts.push(NAME_LISTS.has(name) ? quotedIfNeeded(c.sval.sval ?? '') : (c.sval.sval ?? ''))
  }
  return parts.join(', ')
}

/** As Postgres' quote_identifier: keywords other than the unreserved ones are quoted too. */
function quotedIfNeeded(name: string): string {
  if (!/^[a-z_][a-z0-9_]*$/.test(name)) return quoteName(name)
  return tokensOf(name)[0]?.keyword === 'other' ? quoteName(name) : name
}

/** Kept by Weft in place of the shards. */
const KEPT_HERE: ReadonlySet<string> = new Set([
  'idle_in_transaction_session_timeout',
  'idle_session_timeout',
  'client_encoding',
])

/** SHOW weft.… is answered by Weft, and so is what Weft keeps in place of the shards; everything else by the home shard. */
export function planShow(stmt: VariableShowStmt): Plan {
  const name = (stmt.name ?? '').toLowerCase()
  const isOwn = name.startsWith('weft.') || KEPT_HERE.has(name)
  if (isOwn) return setting('SHOW', 'show-weft', { name }, { returnsRows: true })
  return forwardHome('SHOW', { access: 'read', returnsRows: true })
}

export function planDiscard(stmt: DiscardStmt): Plan {
  switch (stmt.target) {
    case 'DISCARD_ALL':
      return setting('DISCARD ALL', 'discard-all', {}, { effects: MAY_UNPIN, outsideTransaction: true })
    case 'DISCARD_PLANS':
      return setting('DISCARD PLANS', 'discard-plans')
    case 'DISCARD_SEQUENCES':
      return setting('DISCARD SEQUENCES', 'discard-sequences')
    default:
      return setting('DISCARD TEMP', 'discard-temp', {}, { effects: MAY_UNPIN })
  }
}

/** Reaches every shard of the transaction: each checks its own rows. */
export function planSetConstraints(): Plan {
  return setting('SET CONSTRAINTS', 'set-constraints')
}

function setting(
  tag: string,
  verb: SettingPlan['verb'],
  fields: { name?: string; assignments?: Assignments } = {},
  overrides: Overrides = {},
): SettingPlan {
  // The values assigned are literals of this text.
  const generic = fields.assignments === undefined
  return { ...common(tag, { generic, ...overrides }), kind: 'setting', verb, viaFunction: false, ...fields }
}
