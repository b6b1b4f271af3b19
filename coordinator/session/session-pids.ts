/** Statements that name backends (sql/plan/session-pids.ts): run with what the coordinator knows put into them. */
import { weftError } from '../../errors/catalog.ts'
import type { Refused } from '../../errors/refusals/refusals.ts'
import type { SignalVerb } from '../../protocol/agent-link.ts'
import {
  commandComplete,
  dataRow,
  parseErrorFields,
  rowDescription,
} from '../../protocol/wire/backend-messages.ts'
import { MSG } from '../../protocol/wire/frames.ts'
import { SIGNAL_CODE } from '../../sql/install/session-functions.ts'
import { edited, joined } from '../../sql/plan/edited-text.ts'
import type { SessionPidsPlan } from '../../sql/plan/plan.ts'
import { quoteText } from '../../sql/plan/text-scan.ts'
import { describedAtHome } from '../execute/answers/evaluate.ts'
import { type Execution, HOME } from '../execute/context.ts'
import { StatementKeys } from '../execute/plans/key-slots.ts'
import { run } from '../execute/run.ts'
import { placedIn } from '../execute/shards/begun-statement.ts'
import { type Collected, Collector } from '../execute/shards/replies.ts'
import { endOfWrite, sendAsWritten, settle } from '../execute/shards/send.ts'
import type { ClientSession } from './client-session.ts'
import { KnownSessions } from './known-sessions.ts'
import { Prepared } from './prepared.ts'
import { TERMINATED } from './session-timers.ts'

const HEADER_BYTES = 5

export async function runSessionPids(
  session: ClientSession,
  exec: Execution,
  plan: SessionPidsPlan,
): Promise<void> {
  const known = new KnownSessions(session)
  await session.admit()
  const replaced = await withKnown(known, exec, plan)
  const asked = plan.keepsColumns ? (exec.asked ?? exec.text) : undefined
  const planned = { ...(await asPlanned(session, exec, replaced.sql)), asked }
  const inner =
    plan.namesViews && exec.wantsRowDescription ? await asOfViews(session, exec, planned) : planned
  const signals = plan.places.some((place) => place.known === 'sessions')
  await placedIn(replaced, signals ? runSignals(session, inner, known) : run(session, inner))
}

/** With the columns of the views, which functions do not have. */
async function asOfViews(session: ClientSession, { text, paramTypes }: Execution, inner: Execution) {
  if (inner.origins !== undefined || inner.plan.kind === 'refused') return inner
  return { ...inner, origins: (await describedAtHome(session, text, paramTypes)).columns }
}

async function withKnown(known: KnownSessions, exec: Execution, { places }: SessionPidsPlan) {
  const { text } = exec
  const edits: { start: number; end: number; text: string }[] = []
  for (const { start, end, head, known: what, relation, tail } of places) {
    const value = what === undefined ? '' : await known.value(what, exec, relation)
    const sql = what === undefined || what === 'pid' ? value : `${quoteText(value)}::pg_catalog.jsonb`
    edits.push({ start, end, text: head + sql + tail })
  }
  return joined(text, edited(text, 0, text.length, edits))
}

async function asPlanned(session: ClientSession, exec: Execution, text: string): Promise<Execution> {
  const plan = await session.planText(text, exec.paramTypes)
  const statement = new Prepared('', Buffer.from(text), exec.paramTypes)
  const { bind } = exec
  const keys = new StatementKeys()
  if (bind === undefined) keys.ofText(statement.sql, statement.lexed)
  else keys.ofBind(statement, bind, plan.paramsToDescribe)
  return { ...exec, plan, text, frame: undefined, ref: undefined, keys }
}

/** On the home shard; whom it signals is known when it has run, and they are signalled before the client hears of it. */
async function runSignals(session: ClientSession, exec: Execution, known: KnownSessions): Promise<void> {
  const { plan } = exec
  if (plan.kind === 'refused') throw plan.error
  const isHome = plan.kind === 'forward' && (plan.route.kind === 'home' || plan.route.kind === 'any')
  if (!isHome || plan.tag === 'COPY') throw weftError('not_supported', SIGNALS_ELSEWHERE)
  const line = session.line(HOME)
  const collector = new Collector()
  sendAsWritten(session, line, { ...exec, maxRows: 0, portal: undefined }, collector)
  const end = settle(session, line, await endOfWrite(session, line, collector.ended))
  const asides: Buffer[] = []
  for (const aside of end.asides) {
    const wanted = signalIn(aside)
    if (wanted === undefined) asides.push(aside)
    else await deliver(session, known, wanted)
  }
  for (const aside of asides) session.out.aside(aside)
  tell(session, exec, end)
}

const SIGNALS_ELSEWHERE: Refused = {
  id: 'session_function',
  what: 'pg_cancel_backend() and pg_terminate_backend() are not supported here',
  hint: 'Select the pids first, then call the function with each in a SELECT without sharded tables.',
}

interface Wanted {
  readonly verb: SignalVerb
  readonly pid: number
}

function signalIn(aside: Buffer): Wanted | undefined {
  if (aside[0] !== MSG.noticeResponse) return undefined
  const { code, message } = parseErrorFields(aside, HEADER_BYTES, aside.length)
  if (code !== SIGNAL_CODE) return undefined
  const [verb, pid] = message.split(' ')
  return { verb: verb === 'terminate' ? 'terminate' : 'cancel', pid: Number(pid) }
}

/** One's own statement ends as it does in Postgres: before its result is told. */
async function deliver(session: ClientSession, known: KnownSessions, { verb, pid }: Wanted): Promise<void> {
  if (pid !== session.sessionId) return known.signal(pid, verb)
  throw verb === 'terminate' ? TERMINATED : weftError('query_canceled', {})
}

function tell({ out }: ClientSession, exec: Execution, { columns, rows, tag }: Collected): void {
  if (exec.wantsRowDescription && columns.length > 0) out.push(rowDescription(columns))
  for (const row of rows) out.push(dataRow(row))
  out.hold(commandComplete(tag))
}
