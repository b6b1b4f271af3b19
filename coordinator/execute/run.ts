import { assertNever } from '../../errors/pg-error.ts'
import { SEQUENCES } from '../../protocol/agent-link.ts'
import { EMPTY_QUERY_RESPONSE } from '../../protocol/wire/backend-messages.ts'
import type { Effects } from '../../sql/code/effects.ts'
import type { Reach } from '../../sql/code/overreach.ts'
import type { Plan } from '../../sql/plan/plan.ts'
import { runCursor } from './answers/cursor.ts'
import { judgeOnHome } from './answers/evaluate.ts'
import { fetchRows } from './answers/open-portal.ts'
import { type ExecContext, type Execution, HOME } from './context.ts'
import { runCopy } from './copy/copy.ts'
import { runDdl } from './declare/ddl.ts'
import { runDeclareFunction } from './declare/declare-function.ts'
import { runReaching } from './declare/reach.ts'
import { runExplain } from './explain/explain.ts'
import { runForward, runOnOne } from './forward.ts'
import { runInsert } from './insert/insert.ts'
import { runInsertSelect } from './insert/insert-select.ts'
import { noteCustomUse } from './plans/custom-use.ts'
import { needsOneTime, timesOf } from './plans/one-time.ts'
import { sequencesSet } from './sequences/sequences-set.ts'
import { asksOnHeld, planOnHeld, showOnHeld } from './settings/asked-settings.ts'
import { runSetting } from './settings/setting.ts'
import { runMaterialize } from './steps/materialize.ts'
import { deferNotification, notificationOf } from './transaction/notify.ts'
import { runTransactionControl } from './transaction/transaction-control.ts'

/** EXPLAIN is of no use to who wants locks; what is refused says why itself. */
const locksAll = (plan: Plan): boolean =>
  plan.kind === 'explain' || plan.kind === 'refused' || (plan.kind === 'forward' && plan.locksCopies === true)

/** A cursor's query runs when it is fetched from. */
function leavesOf({ state }: ExecContext, plan: Plan): Effects {
  if (plan.kind !== 'cursor') return plan.effects.leaves
  if (plan.verb === 'declare') state.cursorsLeave |= plan.effects.leaves
  return state.cursorsLeave
}

function sequencesOf({ state }: ExecContext, { kind, effects }: Plan): number {
  if (kind !== 'cursor') return effects.sequences
  state.cursorSequences |= effects.sequences
  return state.cursorSequences
}

function compilesOf({ state }: ExecContext, { kind, effects }: Plan): boolean {
  return effects.compiles === true || (kind === 'cursor' && state.compiles)
}

/** They look themselves at what code has reached, of a part of what they do. */
const REACHES_BY_ITSELF: ReadonlySet<Plan['kind']> = new Set(['ddl', 'materialize'])

/** What they do with custom settings is not told by their plans' effects. */
const CUSTOM_KINDS: ReadonlySet<Plan['kind']> = new Set(['setting', 'cursor'])

/**
 * Runs one statement and gives its answer to the client; its CommandComplete is held back in `ctx.out` until the
 * caller has committed what belongs to it. Rejects with the client's error.
 */
export async function run(ctx: ExecContext, exec: Execution): Promise<void> {
  const { plan } = exec
  // In a Query there are no parameters, as Postgres says; what is run in a statement's place would take NULL for them.
  if (exec.bind === undefined && plan.paramCount > 0) return runOnOne(ctx, exec, HOME)
  const { locksHome } = plan.effects
  if (locksHome !== undefined && ctx.tx.isOpen && !locksAll(plan)) throw locksHome
  ctx.state.leaving |= leavesOf(ctx, plan)
  ctx.state.compiles = compilesOf(ctx, plan)
  if (plan.effects.custom !== undefined || ctx.state.custom !== undefined || CUSTOM_KINDS.has(plan.kind))
    noteCustomUse(ctx.state, exec)
  if (asksOnHeld(ctx, exec)) {
    if (plan.tag === 'SHOW') return showOnHeld(ctx, exec)
    const asked = planOnHeld(ctx, exec)
    if (asked !== undefined) return ctx.runPrepared(exec, asked)
  }
  const times = timesOf(ctx, exec)
  if (times !== undefined && needsOneTime(ctx, exec)) return ctx.runTimed(exec, times)
  ctx.state.sequences = sequencesOf(ctx, plan)
  const reach = reachOf(ctx, plan)
  const work =
    reach === undefined || REACHES_BY_ITSELF.has(plan.kind)
      ? runPortal(ctx, exec)
      : runReaching(ctx, plan, reach, () => runPortal(ctx, exec))
  const sets = plan.kind === 'ddl' ? SEQUENCES.setsAsSaid : ctx.state.sequences
  return (sets & (SEQUENCES.sets | SEQUENCES.setsAsSaid)) === 0
    ? work
    : work.finally(() => sequencesSet(ctx, sets))
}

/** A cursor's query runs when it is fetched from. */
function reachOf({ state }: ExecContext, plan: Plan): Reach | undefined {
  if (plan.kind !== 'cursor') return plan.reach
  if (plan.verb === 'declare' && plan.reach !== undefined) {
    const tables = [...(state.cursorsReach?.tables ?? []), ...plan.reach.tables]
    state.cursorsReach = { tables, onCopies: false }
  }
  return state.cursorsReach
}

/** What is taken in parts comes from who has it: backends, or who keeps its rows. */
async function runPortal(ctx: ExecContext, exec: Execution): Promise<void> {
  const { portal } = exec
  if (portal === undefined) return dispatch(ctx, exec)
  if (portal.isOpen) return fetchRows(ctx, exec, portal)
  portal.kept?.clear()
  ctx.out.kept = portal.kept
  try {
    await dispatch(ctx, exec)
  } finally {
    ctx.out.kept = undefined
  }
  if (portal.kept?.failure !== undefined) throw portal.kept.failure
}

async function dispatch(ctx: ExecContext, exec: Execution): Promise<void> {
  const { plan } = exec
  switch (plan.kind) {
    case 'forward': {
      const notification = ctx.tx.isOpen && exec.bindsOnly !== true ? notificationOf(exec) : undefined
      if (notification !== undefined) return deferNotification(ctx, exec, notification)
      return runForward(ctx, exec, plan)
    }
    case 'insert':
      return runInsert(ctx, exec, plan)
    case 'insert-select':
      return runInsertSelect(ctx, exec, plan)
    case 'copy':
      return runCopy(ctx, exec, plan)
    case 'ddl':
      return runDdl(ctx, exec, plan)
    case 'materialize':
      return runMaterialize(ctx, exec, plan)
    case 'declare':
      return runDeclareFunction(ctx, exec, plan)
    case 'transaction':
      return runTransactionControl(ctx, exec, plan)
    case 'setting':
      return runSetting(ctx, exec, plan)
    case 'prepared':
    case 'session-pids':
      return ctx.runPrepared(exec, plan)
    case 'cursor':
      return runCursor(ctx, exec, plan)
    case 'explain':
      return runExplain(ctx, exec, plan)
    case 'refused':
      if (plan.isPostgres === true) await judgeOnHome(ctx, exec)
      throw plan.error
    case 'empty':
      ctx.out.push(EMPTY_QUERY_RESPONSE)
      return
    default:
      assertNever(plan)
  }
}
