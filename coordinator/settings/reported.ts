import type { SettingPlan } from '../../sql/plan/plan.ts'
import { WEFT_DEFAULTS } from '../../sql/plan/utility/several-settings.ts'
import { TRANSACTION_DEFAULTS } from './isolation.ts'
import { IDLE_SESSION_TIMEOUT, TIME_LIMITS } from './time-limits.ts'

/** Parameters a server reports at start and on change (GUC_REPORT), over the supported versions. */
export const REPORTED = [
  'server_version',
  'server_encoding',
  'client_encoding',
  'application_name',
  'default_transaction_read_only',
  'in_hot_standby',
  'is_superuser',
  'session_authorization',
  'DateStyle',
  'IntervalStyle',
  'TimeZone',
  'integer_datetimes',
  'standard_conforming_strings',
  'scram_iterations',
  'search_path',
]
const NAMES: ReadonlySet<string> = new Set(REPORTED.map((name) => name.toLowerCase()))

/** Backends have none themselves: what they would have. */
const IDLE_DEFAULT = `(SELECT reset_val FROM pg_catalog.pg_settings WHERE name = '${IDLE_SESSION_TIMEOUT}')`

/** What a session is told of beside the reported parameters, in this order after them. */
export const NOTED = [...TIME_LIMITS, ...TRANSACTION_DEFAULTS, ...WEFT_DEFAULTS] as const

export const SHOW_SQL = `SELECT ${[...REPORTED, ...NOTED]
  .map((name) =>
    name === IDLE_SESSION_TIMEOUT ? IDLE_DEFAULT : `pg_catalog.current_setting('${name}', true)`,
  )
  .join(', ')}`

/** Of a setting, whether clients are told of its value. */
export function isReported(name: string): boolean {
  return name === 'role' || NAMES.has(name)
}

/** Roles show in `session_authorization` and `is_superuser`. */
export function changesReported(plan: SettingPlan): boolean {
  const names = plan.assignments?.map((assignment) => assignment.name) ?? [plan.name ?? '']
  return plan.verb === 'reset-all' || names.some(isReported)
}
