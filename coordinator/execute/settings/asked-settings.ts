import { PgError } from '../../../errors/pg-error.ts'
import { commandComplete, dataRow } from '../../../protocol/wire/backend-messages.ts'
import { isAmong, UNSET } from '../../../sql/code/custom-settings.ts'
import { askedPlan } from '../../../sql/plan/asked-settings.ts'
import type { SessionPidsPlan } from '../../../sql/plan/plan.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { customUseOf } from '../plans/custom-use.ts'
import { queryShard } from '../shards/send.ts'
import { textColumn } from './setting.ts'

/** DDL that evaluates what its text says; other keeps it as it is written. */
const EVALUATES: ReadonlySet<string> = new Set(['CREATE TABLE AS', 'SELECT INTO'])

/** Whether its backend was chosen before, and its text asks for custom settings that the session has not had. */
export function asksOnHeld(ctx: Pick<ExecContext, 'tx' | 'state' | 'settings'>, exec: Execution): boolean {
  const { effects, kind, tag } = exec.plan
  const { custom } = effects
  if (kind === 'ddl' && !EVALUATES.has(tag)) return false
  if (custom?.inText !== true || (ctx.tx.joined.length === 0 && ctx.state.kept.size === 0)) return false
  if (exec.text.includes(UNSET)) return false
  const had = ctx.settings.customNames()
  return customUseOf(exec)?.asks.some((name) => !isAmong(name, had)) === true
}

/** What it is to be run as; undefined: as it is. */
export function planOnHeld(ctx: ExecContext, { plan, text }: Execution): SessionPidsPlan | undefined {
  return askedPlan(plan, text, [...ctx.settings.customNames()])
}

/** SHOW of one that the session has not had: roles and databases may give it a value. */
export async function showOnHeld(ctx: ExecContext, exec: Execution): Promise<void> {
  await ctx.admit(false)
  const [name = ''] = customUseOf(exec)?.asks ?? []
  const sql = 'SELECT pg_catalog.current_setting($1, true)'
  const { rows } = await queryShard(ctx, ctx.line(HOME), sql, [name], { writes: false, looks: false })
  const value = rows[0]?.[0]?.toString('utf8') ?? ''
  if (value === '') {
    throw new PgError({ code: '42704', message: `unrecognized configuration parameter "${name}"` })
  }
  if (exec.wantsRowDescription) ctx.out.push(textColumn(name))
  ctx.out.push(dataRow([value]))
  ctx.out.hold(commandComplete('SHOW'))
}
