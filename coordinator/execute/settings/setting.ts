import { weftError } from '../../../errors/catalog.ts'
import { PgError } from '../../../errors/pg-error.ts'
import {
  commandComplete,
  dataRow,
  noticeResponse,
  rowDescription,
} from '../../../protocol/wire/backend-messages.ts'
import { encodingName } from '../../../sql/encoding-names.ts'
import type { SettingPlan } from '../../../sql/plan/plan.ts'
import { quoteText } from '../../../sql/plan/text-scan.ts'
import { GATHERED_BYTES_MAX, MAX_GATHERED } from '../../../sql/plan/utility/gathered-size.ts'
import { refuseSetting } from '../../../sql/plan/utility/refuse-setting.ts'
import { PUSHDOWN, SCATTER, SEQUENCE_BLOCK, SPREAD } from '../../../sql/plan/utility/several-settings.ts'
import { CONSISTENT_READS, readsConsistently } from '../../settings/consistent-reads.ts'
import { pushesDown, scatterOf, sequenceBlockOf, spreadsOf } from '../../settings/several-shards.ts'
import { IDLE_SESSION_TIMEOUT, IDLE_TIMEOUT, keepBackends } from '../../settings/time-limits.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { quoteName } from '../quote.ts'
import { queryShard, settle, simpleQuery } from '../shards/send.ts'
import { settleAll } from '../shards/settle-all.ts'
import type { ShardLine } from '../shards/shard-line.ts'
import { reachingDeferred } from '../transaction/deferred-triggers.ts'
import { modesSql } from '../transaction/transaction.ts'
import { discardSequences } from './discard-sequences.ts'

/** SET, RESET, DISCARD and SHOW weft.…: they change the client's session, not one backend's. */
export async function runSetting(ctx: ExecContext, exec: Execution, plan: SettingPlan): Promise<void> {
  await ctx.admit(false)
  switch (plan.verb) {
    case 'show-weft':
      return showWeft(ctx, exec, plan)
    case 'set':
    case 'set-local':
    case 'reset':
      if (plan.assignments?.[0]?.name === CAUSAL_TOKEN)
        return adoptToken(ctx, plan, plan.assignments[0].value)
      if (plan.name === CLIENT_ENCODING && !plan.viaFunction) return setClientEncoding(ctx, plan)
      return changeSetting(ctx, exec, plan)
    case 'reset-all':
      await onJoined(ctx, exec.text)
      ctx.settings.resetAll()
      return reportAll(ctx, plan)
    case 'discard-all':
      return discardAll(ctx, plan)
    case 'set-constraints':
      return setConstraints(ctx, exec, plan)
    case 'discard-sequences':
      await discardSequences(ctx)
      return ctx.out.hold(commandComplete(plan.tag))
    case 'discard-plans':
      return ctx.out.hold(commandComplete(plan.tag))
    case 'discard-temp':
      if (ctx.line(HOME).kept) await runOn(ctx, ctx.line(HOME), exec.text)
      return ctx.out.hold(commandComplete(plan.tag))
  }
}

/** What another session has seen, of another coordinator perhaps: this one will not see less. */
const CAUSAL_TOKEN = 'weft.causal_token'

function adoptToken(ctx: ExecContext, plan: SettingPlan, value: string | null): void {
  if (value === null || !/^\d{1,20}$/.test(value) || BigInt(value) >> 64n !== 0n) {
    throw new PgError({
      code: '22023',
      message: `invalid value for parameter "${CAUSAL_TOKEN}": "${value ?? ''}"`,
      hint: `Use what SHOW ${CAUSAL_TOKEN} gave another session.`,
    })
  }
  const token = BigInt(value)
  // Refuses one from a future that nobody can have seen.
  ctx.node.commits.clock.observe(token)
  ctx.causal.told(token)
  ctx.out.hold(commandComplete(plan.tag))
}

const CLIENT_ENCODING = 'client_encoding'

/** No backend hears of it: the session converts (client-text.ts). */
async function setClientEncoding(ctx: ExecContext, plan: SettingPlan): Promise<void> {
  const written = plan.assignments?.[0]?.value ?? null
  const name = written === null ? null : encodingName(written)
  if (name === undefined) {
    const message = `invalid value for parameter "${CLIENT_ENCODING}": "${written}"`
    throw new PgError({ code: '22023', message })
  }
  await ctx.node.encodings.load(name ?? undefined)
  if (plan.verb === 'set-local' && ctx.tx.kind !== 'explicit') ctx.out.push(NOT_IN_BLOCK)
  // So that its end is not taken for one that changes no setting.
  if (ctx.tx.isOpen) ctx.tx.tainted = true
  remember(ctx, plan, CLIENT_ENCODING, name)
  ctx.out.parameters.note(CLIENT_ENCODING, shownEncoding(ctx))
  ctx.out.hold(commandComplete(plan.tag))
}

function shownEncoding(ctx: ExecContext): string {
  return ctx.settings.get(CLIENT_ENCODING) ?? 'UTF8'
}

/** Lines that have a backend with state of this session: the transaction's, and the pinned one. */
function heldLines(ctx: ExecContext): readonly ShardLine[] {
  const { kept } = ctx.state
  if (kept.size === 0) return [...ctx.tx.joined]
  return [...new Set([...kept, ...ctx.tx.joined])].sort((a, b) => a.shard - b.shard)
}

async function runOn(ctx: ExecContext, line: ShardLine, sql: string) {
  return settle(ctx, line, await simpleQuery(ctx, line, sql, { writes: false, taints: true, looks: false }))
}

/** SET LOCAL by Weft itself, of which nothing is said; null takes it back to what the session has. */
export async function setLocally(ctx: ExecContext, name: string, value: string | null): Promise<void> {
  const set = `SET LOCAL ${quoteName(name)} TO DEFAULT`
  const call = `SELECT pg_catalog.set_config(${quoteText(name)}, ${quoteText(value ?? '')}, true)`
  await onJoined(ctx, value === null ? set : call)
  ctx.settings.setLocal(name, value)
  ctx.settingsChanged()
}

async function onJoined(ctx: ExecContext, sql: string): Promise<void> {
  const lines = heldLines(ctx)
  if (lines.length > 0) ctx.tx.tainted = ctx.tx.isOpen
  const keep = keepBackends([IDLE_TIMEOUT, IDLE_SESSION_TIMEOUT], ctx.tx.isOpen)
  await settleAll(lines.map((line) => runOn(ctx, line, sql + keep)))
}

/**
 * Postgres judges the new value on one backend (which is reset afterwards), the session remembers it, and every
 * backend gets it before it next runs something for this session.
 */
async function changeSetting(ctx: ExecContext, exec: Execution, plan: SettingPlan): Promise<void> {
  const names = plan.assignments?.map((a) => a.name) ?? [plan.name!]
  const [first, ...rest] = heldLines(ctx)
  const line = first ?? ctx.line(HOME)
  if (ctx.tx.isOpen) ctx.tx.tainted = true
  const text = plan.viaFunction && exec.bind !== undefined ? boundSetConfig(exec) : exec.text
  // What is sent here is a transaction of its own, in which Postgres would not warn.
  if (plan.verb === 'set-local' && !plan.viaFunction && !isInBlock(ctx, exec)) ctx.out.push(NOT_IN_BLOCK)
  const shown = names.map((name) => `pg_catalog.current_setting(${quoteText(name)})`)
  const keep = keepBackends(names, ctx.tx.isOpen)
  const set = await runOn(ctx, line, `${text};SELECT ${shown.join(', ')}${keep}`)
  const values = names.map((_, i) => set.rows.at(-1)?.[i]?.toString('utf8') ?? '')
  for (const [i, name] of names.entries()) {
    // Postgres does not know what Weft's own settings are by default.
    const isUnset = plan.verb === 'reset' && values[i] === ''
    const refused = isUnset ? undefined : refuseBySet(name, values[i]!)
    if (refused !== undefined) throw refused
  }
  await settleAll(rest.map((other) => runOn(ctx, other, text + keep)))
  for (const [i, name] of names.entries()) remember(ctx, plan, name, values[i]!)
  for (const aside of set.asides) ctx.out.aside(aside)
  if (plan.viaFunction) return sayValue(ctx, exec, values[0]!)
  ctx.out.hold(commandComplete(plan.tag))
}

/** A backend has done it: too late for what no backend may. */
export function refuseBySet(name: string, value: string): PgError | undefined {
  if (name !== CLIENT_ENCODING || value === 'UTF8') return refuseSetting(name, value)
  return weftError('not_supported', {
    id: 'setting',
    what: `set_config('${CLIENT_ENCODING}', '${value}', …)`,
    hint: `Use SET ${CLIENT_ENCODING}.`,
  })
}

/** The first statement of a pipeline is not in a block yet, as Postgres sees it. */
export function isInBlock({ tx }: ExecContext, exec: Execution): boolean {
  return tx.kind === 'explicit' || (tx.kind === 'implicit' && (exec.bind === undefined || tx.hasRun))
}

const NOT_IN_BLOCK = noticeResponse({
  severity: 'WARNING',
  severityRaw: 'WARNING',
  code: '25P01',
  message: 'SET LOCAL can only be used in transaction blocks',
})

function remember(ctx: ExecContext, plan: SettingPlan, name: string, value: string | null): void {
  if (plan.verb === 'reset') ctx.settings.reset(name)
  else if (plan.verb === 'set-local') ctx.settings.setLocal(name, value)
  else ctx.settings.set(name, value)
}

function boundSetConfig(exec: Execution): string {
  const literal = (n: number) => {
    const value = exec.keys.paramText(n)
    return value === null ? 'NULL' : `E'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
  }
  return exec.text.replace(/\$(\d+)/g, (_, n: string) => literal(Number(n)))
}

function sayValue(ctx: ExecContext, exec: Execution, value: string): void {
  if (exec.wantsRowDescription) ctx.out.push(textColumn('set_config'))
  ctx.out.push(dataRow([value]))
  ctx.out.hold(commandComplete('SELECT 1'))
}

/** RowDescription of one text column. */
export function textColumn(name: string): Buffer {
  return rowDescription([{ name, tableOid: 0, attnum: 0, typeOid: 25, typlen: -1, typmod: -1, format: 0 }])
}

/** RowDescription of one column of type void. */
export function voidColumn(name: string): Buffer {
  return rowDescription([{ name, tableOid: 0, attnum: 0, typeOid: 2278, typlen: 4, typmod: -1, format: 0 }])
}

/** After RESET ALL every reported parameter may have changed: a backend with the session's settings tells. */
async function reportAll(ctx: ExecContext, plan: SettingPlan): Promise<void> {
  await ctx.reportParameters()
  ctx.out.hold(commandComplete(plan.tag))
}

async function discardAll(ctx: ExecContext, plan: SettingPlan): Promise<void> {
  if (ctx.tx.isOpen) {
    throw new PgError({ code: '25001', message: 'DISCARD ALL cannot run inside a transaction block' })
  }
  await ctx.discardSession()
  await ctx.reportParameters()
  ctx.out.hold(commandComplete(plan.tag))
}

async function setConstraints(ctx: ExecContext, exec: Execution, plan: SettingPlan): Promise<void> {
  const joined = [...ctx.tx.joined]
  if (joined.length === 0) await runOn(ctx, ctx.line(HOME), exec.text)
  else
    await reachingDeferred(ctx, plan.tag, async () => {
      await settleAll(joined.map((line) => runOn(ctx, line, exec.text)))
    })
  if (ctx.tx.kind === 'explicit') ctx.tx.addReplay(exec.text)
  ctx.out.hold(commandComplete(plan.tag))
}

async function showWeft(ctx: ExecContext, exec: Execution, plan: SettingPlan): Promise<void> {
  const name = plan.name ?? ''
  const value = await weftSetting(ctx, name)
  if (exec.wantsRowDescription) ctx.out.push(textColumn(name))
  ctx.out.push(dataRow([value]))
  ctx.out.hold(commandComplete('SHOW'))
}

async function weftSetting(ctx: ExecContext, name: string): Promise<string> {
  switch (name) {
    case 'weft.version':
      return ctx.node.version
    case 'weft.node':
      return ctx.node.id
    case 'weft.shards':
      return String(ctx.node.shardCount)
    case 'weft.map_version':
      return String((await ctx.catalog()).version)
    case CAUSAL_TOKEN:
      return String(ctx.causal.token)
    case CONSISTENT_READS:
      return readsConsistently(ctx.settings) ? 'on' : 'off'
    case MAX_GATHERED:
      return ctx.settings.inForce(name) ?? `${GATHERED_BYTES_MAX >> 20}MB`
    case PUSHDOWN:
      return pushesDown(ctx.settings) ? 'on' : 'off'
    case SCATTER:
      return scatterOf(ctx.settings)
    case SEQUENCE_BLOCK:
      return String(sequenceBlockOf(ctx.settings))
    case SPREAD:
      return spreadsOf(ctx.settings)
    case 'weft.transaction':
      return ctx.tx.isOpen
        ? `${modesSql(ctx.tx.modes) || 'open'} shards: ${ctx.tx.joined.map((l) => l.shard).join(',')}`
        : ''
    case CLIENT_ENCODING:
      return shownEncoding(ctx)
    case IDLE_TIMEOUT:
    case IDLE_SESSION_TIMEOUT:
      return ctx.timers.limits.shown(name)
    default: {
      const set = ctx.settings.get(name)
      if (set !== undefined) return set
      const answer = await queryShard(ctx, ctx.line(HOME), 'SELECT pg_catalog.current_setting($1)', [name], {
        writes: false,
        looks: false,
      })
      return answer.rows[0]?.[0]?.toString('utf8') ?? ''
    }
  }
}
