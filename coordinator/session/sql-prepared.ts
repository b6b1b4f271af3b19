import { PgError } from '../../errors/pg-error.ts'
import { commandComplete } from '../../protocol/wire/backend-messages.ts'
import { bind, parseBind } from '../../protocol/wire/frontend-messages.ts'
import type { PreparedPlan, SessionPidsPlan } from '../../sql/plan/plan.ts'
import { quoteText } from '../../sql/plan/text-scan.ts'
import { type Execution, HOME } from '../execute/context.ts'
import { StatementKeys } from '../execute/plans/key-slots.ts'
import type { PlanScope } from '../execute/plans/planner.ts'
import { quoteName } from '../execute/quote.ts'
import { run } from '../execute/run.ts'
import { queryShard } from '../execute/shards/send.ts'
import type { ClientSession } from './client-session.ts'
import { describeStatement } from './describe.ts'
import { argumentValues, embedded, placed } from './execute-arguments.ts'
import { planned } from './planned.ts'
import { Prepared, surrounded } from './prepared.ts'
import { runSessionPids } from './session-pids.ts'
import type { SlowPath } from './slow-path.ts'

/** SQL's own PREPARE, EXECUTE and DEALLOCATE. They share their names with the protocol's, as in Postgres. */
export async function runPrepared(
  session: ClientSession,
  slow: SlowPath,
  exec: Execution,
  plan: PreparedPlan | SessionPidsPlan,
): Promise<void> {
  if (plan.kind === 'session-pids') return runSessionPids(session, exec, plan)
  const { out } = session
  switch (plan.verb) {
    case 'prepare':
      await prepare(session, slow, exec, plan)
      return out.hold(commandComplete('PREPARE'))
    case 'execute':
      return execute(session, slow, exec, plan)
    case 'deallocate':
      if (!(await deallocate(session, plan.name))) throw missing(plan.name)
      return out.hold(commandComplete('DEALLOCATE'))
    case 'deallocate-all':
      await deallocate(session, null)
      return out.hold(commandComplete('DEALLOCATE ALL'))
  }
}

const OF_CODE =
  'SELECT name, statement FROM pg_catalog.pg_prepared_statements WHERE from_sql AND ($1::text IS NULL OR name = $1::text)'
const BESIDE = { writes: false, looks: false }

/** What code has prepared on the backend that the session keeps, by that name or by any; there it is for code. */
async function ofCode(session: ClientSession, name: string | null): Promise<readonly (readonly string[])[]> {
  const line = session.line(HOME)
  if (!line.kept) return []
  const { rows } = await queryShard(session, line, OF_CODE, [name], BESIDE)
  return rows.map((row) => row.map((value) => value!.toString()))
}

/** One of code's becomes the session's too: there it would be run over one shard's rows, whatever its tables are. */
async function adopt(session: ClientSession, slow: SlowPath, name: string): Promise<void> {
  const [found] = session.prepared.has(name) ? [] : await ofCode(session, name)
  if (found === undefined) return
  const text = found[1]!
  const [statement] = await session.planner.statements(text)
  const { plan } = await session.planner.planned(await slow.scope(), statement!, [])
  if (plan.kind === 'prepared') await prepare(session, slow, { text, frame: undefined }, plan)
}

/** Answers whether there was any. */
async function deallocate(session: ClientSession, name: string | null): Promise<boolean> {
  const found = await ofCode(session, name)
  for (const [known] of found)
    await queryShard(session, session.line(HOME), `DEALLOCATE ${quoteName(known!)}`, [], BESIDE)
  if (name !== null) return session.prepared.delete(name) || found.length > 0
  session.prepared.clear()
  return true
}

function missing(name: string): PgError {
  return new PgError({ code: '26000', message: `prepared statement "${name}" does not exist` })
}

async function prepare(
  session: ClientSession,
  slow: SlowPath,
  { text, frame }: Pick<Execution, 'text' | 'frame'>,
  plan: PreparedPlan,
): Promise<void> {
  if (session.prepared.has(plan.name)) {
    throw new PgError({ code: '42P05', message: `prepared statement "${plan.name}" already exists` })
  }
  await session.admit()
  const types = await typeOids(session, text, plan.types ?? [])
  const source = frame === undefined ? text : frame.toString('utf8', 5, frame.length - 1)
  const statement = new Prepared(plan.name, Buffer.from(plan.sql!), types, source)
  const scope = await slow.scope()
  const [parsed] = await session.planner.statements(statement.text)
  if (parsed !== undefined) {
    const { plan: made } = await session.planner.planned(scope, parsed, types)
    statement.keepPlan(scope, made)
  }
  const before = text.lastIndexOf(plan.sql!)
  await placed(describeStatement(session, slow, statement), (position) => position + before)
  session.prepared.set(plan.name, statement)
}

async function typeOids(
  session: ClientSession,
  text: string,
  types: readonly string[],
): Promise<readonly number[]> {
  if (types.length === 0) return []
  const wrap = (type: string) => `${quoteText(type)}::pg_catalog.regtype::pg_catalog.oid`
  const { sql, move } = embedded(text, types, wrap)
  const answer = await placed(queryShard(session, session.line(HOME), sql, [], { writes: false }), move)
  return answer.rows[0]!.map((oid) => Number(oid!.toString()))
}

async function execute(
  session: ClientSession,
  slow: SlowPath,
  outer: Execution,
  plan: PreparedPlan,
): Promise<void> {
  await adopt(session, slow, plan.name)
  const named = session.prepared.get(plan.name)
  if (named === undefined) throw missing(plan.name)
  await session.admit()
  const scope = await slow.scope()
  const described = await describeStatement(session, slow, named)
  // As in Postgres: without parameters nobody looks at what is given for them.
  const args = described.paramTypes.length === 0 ? [] : (plan.args ?? [])
  if (args.length !== described.paramTypes.length) {
    throw new PgError({
      code: '42601',
      message: `wrong number of parameters for prepared statement "${plan.name}"`,
      detail: `Expected ${described.paramTypes.length} parameters but got ${args.length}.`,
    })
  }
  named.uses++
  const values = await argumentValues(session, outer.text, args, described.paramTypes)
  const statement = await surrounded(session.planner, named, plan)
  await run(session, await boundExecution(session, statement, scope, values, outer))
  if (plan.answer === undefined) return
  session.out.takeHeld()
  session.out.hold(commandComplete(plan.answer))
}

async function boundExecution(
  session: ClientSession,
  statement: Prepared,
  scope: PlanScope,
  values: readonly (string | null)[],
  outer: Execution,
): Promise<Execution> {
  const message = bind({ params: values, resultFormats: outer.bind?.resultFormats ?? [] })
  const bound = parseBind(message, 5, message.length)
  const plan = await planned(session, statement, scope)
  return {
    plan,
    text: statement.text,
    frame: undefined,
    bind: bound,
    paramTypes: statement.paramTypes,
    ref: statement.refUnder(scope, session.planner, session.node.schema.epoch),
    keys: new StatementKeys().ofBind(statement, bound, plan.paramsToDescribe),
    wantsRowDescription: outer.wantsRowDescription,
    maxRows: outer.maxRows,
    portal: outer.portal,
  }
}
