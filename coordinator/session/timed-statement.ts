/** Statements that tell a time which must be one for all shards (sql/plan/times): the coordinator puts its own in. */
import type { StatementRef } from '../../protocol/agent-link.ts'
import { type BindMessage, rebound } from '../../protocol/wire/frontend-messages.ts'
import type { Plan, TimePlace } from '../../sql/plan/plan.ts'
import { TIME_TYPE, timeSql, timeText } from '../../sql/plan/times/time-text.ts'
import { type TimedText, timedText } from '../../sql/plan/times/timed-text.ts'
import type { Clock } from '../../sql/tree/time-calls.ts'
import type { Execution } from '../execute/context.ts'
import { StatementKeys } from '../execute/plans/key-slots.ts'
import { run } from '../execute/run.ts'
import { placedIn } from '../execute/shards/begun-statement.ts'
import type { ClientSession } from './client-session.ts'
import { planned } from './planned.ts'
import { Prepared } from './prepared.ts'

const TYPE_OID = 1184

type Times = readonly TimePlace[]

export async function runTimed(session: ClientSession, exec: Execution, times: Times): Promise<void> {
  const isPrepared = exec.bind !== undefined && takesParameters(exec.plan)
  const { inner, text } = isPrepared
    ? await withParameters(session, exec, exec.bind, times)
    : await withConstants(session, exec, times)
  await placedIn(text, run(session, inner))
}

interface Timed {
  readonly inner: Execution
  readonly text: TimedText
}

const OWN_TEXTS: ReadonlySet<string> = new Set(['aggregate', 'gather', 'gather-outside'])

/**
 * Not where Weft writes texts of its own around the client's parameters. Utility statements take none, or hand them on to
 * where their number counts.
 */
function takesParameters(plan: Plan): boolean {
  if (!/^(SELECT|INSERT|UPDATE|DELETE|MERGE)$/.test(plan.tag)) return false
  if (plan.kind !== 'forward') return plan.kind === 'insert'
  return !OWN_TEXTS.has(plan.onSeveral.kind)
}

function timeOf({ tx, times }: ClientSession, clock: Clock): number {
  return clock === 'transaction' && tx.isOpen ? tx.begunUs : times.messageUs
}

async function withConstants(session: ClientSession, exec: Execution, times: Times): Promise<Timed> {
  const text = textWith(session, exec.text, times, (clock) => timeSql(timeOf(session, clock)))
  const statement = new Prepared('', Buffer.from(text.sql), exec.paramTypes)
  return { inner: await executionOf(session, exec, statement, exec.bind), text }
}

function textWith(
  session: ClientSession,
  text: string,
  times: Times,
  say: (clock: Clock) => string,
): TimedText {
  const sql = Buffer.from(text)
  return timedText(text, sql, session.planner.lex(sql, 0, sql.length), times, say)
}

async function executionOf(
  session: ClientSession,
  exec: Execution,
  statement: Prepared,
  bound: BindMessage | undefined,
): Promise<Execution> {
  const scope = session.scope()
  const plan = await planned(session, statement, scope)
  const keys = new StatementKeys()
  if (bound === undefined) keys.ofText(statement.sql, statement.lexed)
  else keys.ofBind(statement, bound, plan.paramsToDescribe)
  const isPrepared = exec.bind !== undefined && bound !== exec.bind
  return {
    ...exec,
    plan,
    text: statement.text,
    frame: undefined,
    bind: bound,
    paramTypes: statement.paramTypes,
    ref: isPrepared ? statement.refUnder(scope, session.planner, session.node.schema.epoch) : undefined,
    keys,
  }
}

interface Parametrized {
  readonly times: Times
  readonly statement: Prepared
  readonly text: TimedText
  /** What the parameters after the client's tell. */
  readonly clocks: readonly Clock[]
}

/** By the statement as the client wrote it: backends keep prepared what takes the time as a parameter. */
const known = new WeakMap<StatementRef, Parametrized>()

async function withParameters(
  session: ClientSession,
  exec: Execution,
  bound: BindMessage,
  times: Times,
): Promise<Timed> {
  const found = exec.ref === undefined ? undefined : known.get(exec.ref)
  const made = found?.times === times ? found : parametrized(session, exec, bound.paramLengths.length, times)
  if (exec.ref !== undefined) known.set(exec.ref, made)
  const values = made.clocks.map((clock) => timeText(timeOf(session, clock)))
  const { portal, resultFormats } = bound
  const timed = rebound(bound, { portal, more: values, resultFormats })
  return { inner: await executionOf(session, exec, made.statement, timed), text: made.text }
}

function parametrized(session: ClientSession, exec: Execution, count: number, times: Times): Parametrized {
  const clocks: Clock[] = []
  const say = (clock: Clock): string => {
    if (!clocks.includes(clock)) clocks.push(clock)
    return `$${count + clocks.indexOf(clock) + 1}::${TIME_TYPE}`
  }
  const text = textWith(session, exec.text, times, say)
  const types = Array.from({ length: count }, (_, i) => exec.paramTypes[i] ?? 0)
  const statement = new Prepared('', Buffer.from(text.sql), [...types, ...clocks.map(() => TYPE_OID)])
  return { times, statement, text, clocks }
}
