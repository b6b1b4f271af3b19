import { weftError } from '../../../errors/catalog.ts'
import { PgError } from '../../../errors/pg-error.ts'
import type { RefusalId } from '../../../errors/refusals/refusals.ts'
import { type Effects, NO_EFFECTS as NOTHING } from '../../code/effects.ts'
import type { DdlPlan, ForwardPlan, PlanCommon, RefusedPlan, SessionEffects } from '../plan.ts'
import type { Place, Scope } from './scope.ts'
import { tolerant } from './wrap.ts'

export type Overrides = Partial<Omit<PlanCommon, 'tag'>>

export const NO_EFFECTS: SessionEffects = {
  pins: false,
  mayUnpin: false,
  taintsBackend: false,
  leaves: NOTHING,
  sequences: 0,
}
export const PINS: SessionEffects = { ...NO_EFFECTS, pins: true }
export const MAY_UNPIN: SessionEffects = { ...NO_EFFECTS, mayUnpin: true }

/** Of a statement that may leave this in its backend. */
export function leaving(leaves: Effects): SessionEffects {
  return { ...NO_EFFECTS, taintsBackend: leaves !== NOTHING, leaves }
}

/** The fields all plans share, with the values that most utility statements have. */
export function common(tag: string, overrides: Overrides = {}): PlanCommon {
  return {
    tag,
    access: 'read',
    effects: NO_EFFECTS,
    returnsRows: false,
    paramCount: 0,
    generic: true,
    paramsToDescribe: [],
    outsideTransaction: false,
    commits: commitsOf(overrides),
    ...overrides,
  }
}

function commitsOf({ access, maintenance, outsideTransaction }: Overrides): PlanCommon['commits'] {
  if (access !== 'write' || maintenance === true) return undefined
  return outsideTransaction === true ? 'within' : 'apart'
}

const ONE_SHARD_ONLY = weftError('internal', { what: 'this statement runs on one shard only' })

/** As written on the home shard; `write` unless told otherwise. */
export function forwardHome(tag: string, overrides: Overrides = {}): ForwardPlan {
  return {
    ...common(tag, { access: 'write', ...overrides }),
    kind: 'forward',
    route: { kind: 'home' },
    onSeveral: { kind: 'refuse', error: ONE_SHARD_ONLY },
  }
}

/** As written on every shard, the first one's answer for the client. */
export function forwardAll(tag: string, overrides: Overrides = {}): ForwardPlan {
  return {
    ...common(tag, { access: 'write', ...overrides }),
    kind: 'forward',
    route: { kind: 'all' },
    onSeveral: { kind: 'first' },
  }
}

type DdlFields = Partial<
  Pick<
    DdlPlan,
    | 'changesMap'
    | 'homeSql'
    | 'uncheckedSql'
    | 'othersSql'
    | 'othersOnlyWith'
    | 'readySql'
    | 'tidySql'
    | 'declare'
    | 'elements'
    | 'password'
  >
>

export function ddl(
  tag: string,
  where: Place,
  { changesMap = false, ...fields }: DdlFields = {},
  overrides: Overrides = {},
): DdlPlan {
  // A rewritten text holds the literals of this text: the plan is good for no other.
  const rewritten =
    fields.homeSql !== undefined ||
    fields.othersSql !== undefined ||
    fields.othersOnlyWith !== undefined ||
    fields.password !== undefined
  return {
    ...common(tag, { access: 'write', ...overrides, generic: !rewritten && overrides.generic !== false }),
    kind: 'ddl',
    where,
    changesMap,
    ...fields,
  }
}

/**
 * On all shards, but an object that belongs to a local table (its index, a function with its row type) exists on the
 * home shard only: the others take "does not exist" for done.
 */
export function ddlWhereItExists(scope: Scope, tag: string, fields: DdlFields = {}): DdlPlan {
  return ddl(tag, 'all', { othersSql: tolerant(scope.stmt.text), ...fields })
}

/** Known and not done: 0A000. */
export function refuse(tag: string, id: RefusalId, what: string, hint?: string): RefusedPlan {
  return refused(tag, weftError('not_supported', { id, what, hint }))
}

export function refused(tag: string, error: PgError): RefusedPlan {
  return { ...common(tag, { generic: false }), kind: 'refused', error }
}

/** An error that Postgres itself would have raised, had it known Weft's syntax. */
export function pgError(code: string, message: string, hint?: string): PgError {
  return new PgError({ severity: 'ERROR', code, message, hint })
}

/** Thrown inside this folder and turned into a RefusedPlan by `planUtility`. */
export function unsupported(id: RefusalId, what: string, hint?: string): PgError {
  return weftError('not_supported', { id, what, hint })
}
