import { PgError } from '../../errors/pg-error.ts'
import type { Catalog } from '../catalog.ts'
import { as, type Node, type SelectStmt } from '../parse/ast.ts'
import type { ParsedStatement } from '../parse/parse.ts'
import { type Analysis, analyze, type LiteralRange } from '../place/analyze.ts'
import { errorOfBackends } from './code-of-backends.ts'
import { planDeclareFunction } from './declare-function.ts'
import { dumpText } from './dump-text.ts'
import { orMovedInConflict } from './first/conflict-moves.ts'
import { orDrawn } from './first/drawn-tail.ts'
import { orFiredFirst } from './first/fired-first.ts'
import { orListed } from './first/listed-rows.ts'
import { orComputed } from './first/plan-computed.ts'
import { orFirst } from './first/plan-first.ts'
import type { Around } from './gather/gather-plan.ts'
import { alikeOnCopies, homeFirst } from './home-first.ts'
import { ignoredWrite } from './ignored-writes.ts'
import { lockedWrongly } from './locked-wrongly.ts'
import { withoutOwnConstraints } from './own-in-catalogs.ts'
import type { Plan, PlanContext } from './plan.ts'
import { planInsert } from './plan-insert.ts'
import { planKeyedCall, planKeyedSelect } from './plan-keyed-calls.ts'
import { planModify } from './plan-modify.ts'
import { planSelect } from './plan-select.ts'
import { withReach } from './reach.ts'
import { functionError } from './routing.ts'
import { withRowsByKey } from './rows-by-key.ts'
import { planSessionPids } from './session-pids.ts'
import { planSetConfig } from './set-config.ts'
import { firingOnce } from './statement-triggers.ts'
import { withTimes } from './times/plan-times.ts'
import { planUtility } from './utility/plan-utility.ts'
import { refused } from './utility/plans.ts'
import { withCode } from './with-code.ts'

const TAGS: Readonly<Record<string, string>> = {
  InsertStmt: 'INSERT',
  UpdateStmt: 'UPDATE',
  DeleteStmt: 'DELETE',
  MergeStmt: 'MERGE',
}

/**
 * The plan of one statement: which shards it goes to, and how their answers become one. Whatever Weft cannot do
 * correctly comes back as a RefusedPlan. All offsets in the plan are UTF-16 offsets in `stmt.text`.
 *
 * `literals`: what `sql/lex` found in `stmt.text`, in its order, as UTF-16 offsets in that text. A plan names a
 * literal by its number in this list.
 */
export function planStatement(
  stmt: ParsedStatement,
  literals: readonly LiteralRange[],
  catalog: Catalog,
  ctx: PlanContext,
): Plan {
  const plain = (): Plan => withCode(planAsWritten(stmt, literals, catalog, ctx), stmt, catalog)
  try {
    const error = errorOfBackends(stmt, catalog)
    if (error) return refused(TAGS[stmt.kind] ?? 'SELECT', error)
    return (
      planSessionPids(stmt, plain, isSharded(catalog)) ?? withTimes(plain(), stmt, literals, catalog, ctx)
    )
  } catch (error) {
    if (error instanceof PgError) return refused(TAGS[stmt.kind] ?? 'SELECT', error)
    throw error
  }
}

function planAsWritten(
  written: ParsedStatement,
  literals: readonly LiteralRange[],
  catalog: Catalog,
  ctx: PlanContext,
): Plan {
  const stmt = withRowsByKey(written, catalog, ctx)
  try {
    const select = as(stmt.node, 'SelectStmt')
    if (select) return planSelectStatement(stmt, select, literals, catalog, ctx)
    if (TAGS[stmt.kind] === undefined) {
      const keyed = planKeyedCall(stmt, literals, catalog, ctx)
      if (keyed) return keyed
      return planUtility(stmt, catalog, ctx, innerPlanner(literals, catalog, ctx))
    }
    const analysis = analyze(stmt, literals, catalog, ctx)
    const wrong = lockedWrongly(analysis, stmt.node)
    if (wrong) return wrong
    const error = functionError(analysis.traits)
    if (error) return refused(TAGS[stmt.kind]!, error)
    const ignored = ignoredWrite(analysis, TAGS[stmt.kind]!)
    if (ignored) return ignored
    const copied = homeFirst(analysis, stmt, ctx, (atHome) => planAsWritten(written, literals, atHome, ctx))
    if (copied) return copied
    const isInsert = stmt.kind === 'InsertStmt'
    const plan = (isInsert ? planInsert : planModify)(analysis, stmt.text, ctx)
    const computed = isInsert ? orComputedFirst(plan, analysis, stmt.text, ctx) : plan
    return firing(withReach(orFirst(computed, analysis, stmt, ctx), analysis, stmt.text), analysis)
  } catch (error) {
    if (error instanceof PgError) return refused(TAGS[stmt.kind] ?? 'SELECT', error)
    throw error
  }
}

/** Triggers of what it writes fire as on one Postgres, or it is refused. */
const firing = (plan: Plan, a: Analysis): Plan => alikeOnCopies(firingOnce(plan, a), a)

function firingSelect(plan: Plan, a: Analysis, stmt: ParsedStatement, ctx: PlanContext): Plan {
  const fired = firing(plan, a)
  return fired.kind === 'refused' && plan.kind !== 'refused' ? orFiredFirst(fired, a, stmt, ctx) : fired
}

function orComputedFirst(plan: Plan, a: Analysis, text: string, ctx: PlanContext): Plan {
  const known = orMovedInConflict(orDrawn(plan, a, text, ctx), a, text)
  return known === plan ? orListed(orComputed(plan, a, text, ctx), a, text, ctx) : known
}

/** `around`: none is left of one around that. */
function innerPlanner(literals: readonly LiteralRange[], catalog: Catalog, ctx: PlanContext) {
  return (inner: ParsedStatement, around?: Around): Plan =>
    planAsWritten(inner, literals, catalog, around === undefined ? ctx : { ...ctx, around })
}

function planSelectStatement(
  stmt: ParsedStatement,
  select: SelectStmt,
  literals: readonly LiteralRange[],
  catalog: Catalog,
  ctx: PlanContext,
): Plan {
  if (select.intoClause) {
    return planUtility(stmt, catalog, ctx, innerPlanner(literals, catalog, ctx))
  }
  const hoisted = withArmsInto(select)
  if (hoisted) {
    const node = { SelectStmt: hoisted } as Node
    return planUtility({ ...stmt, node }, catalog, ctx, innerPlanner(literals, catalog, ctx))
  }
  const special = planDeclareFunction(stmt, select, catalog) ?? planSetConfig(select)
  if (special) return special
  const analysis = analyze(stmt, literals, catalog, ctx)
  const wrong = lockedWrongly(analysis, stmt.node)
  if (wrong) return wrong
  const keyed = ignoredWrite(analysis, 'SELECT') ?? planKeyedSelect(analysis, stmt, ctx)
  if (keyed) return keyed
  const error = functionError(analysis.traits)
  return error
    ? refused('SELECT', error)
    : asDescribed(
        firingSelect(withReach(plannedSelect(analysis, stmt, ctx), analysis, stmt.text), analysis, stmt, ctx),
        stmt.text,
        catalog,
      )
}

/** INTO of the first arm of a set operation, which is the whole's. Others Postgres refuses. */
function withArmsInto(select: SelectStmt): SelectStmt | undefined {
  const { larg } = select
  if (larg === undefined) return undefined
  const { intoClause, ...plain } = larg
  if (intoClause) return { ...select, larg: plain, intoClause }
  const hoisted = withArmsInto(larg)
  if (hoisted === undefined) return undefined
  const { intoClause: found, ...below } = hoisted
  return { ...select, larg: below, ...(found && { intoClause: found }) }
}

/** Of a query in another statement the text is not all. */
function plannedSelect(a: Analysis, stmt: ParsedStatement, ctx: PlanContext): Plan {
  const plan = planSelect(a, stmt.text, ctx)
  return ctx.around === undefined ? orFirst(plan, a, stmt, ctx) : plan
}

/** Catalogs are read without what is Weft's own, and a dump's queries with what Weft knows of tables. */
function asDescribed(plan: Plan, text: string, catalog: Catalog): Plan {
  if (plan.kind !== 'forward' || plan.route.kind !== 'home') return plan
  const dumped = dumpText(text)
  const sentAs = (isSharded(catalog) ? withoutOwnConstraints(dumped ?? text) : undefined) ?? dumped
  return sentAs === undefined ? plan : { ...plan, ...{ sentAs, generic: false } }
}

function isSharded({ distributed }: Catalog): boolean {
  return distributed.some(({ kind }) => kind === 'sharded')
}
