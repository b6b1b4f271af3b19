import { weftError } from '../../../errors/catalog.ts'
import { ANY_MAP_VERSION, type ExecRequest } from '../../../protocol/agent-link.ts'
import {
  bind,
  close,
  describe,
  execute,
  paramFormat,
  paramValue,
  parse,
  query,
  rewriteBindStatement,
  SYNC,
} from '../../../protocol/wire/frontend-messages.ts'
import { EFFECT, NO_EFFECTS } from '../../../sql/code/effects.ts'
import type { Plan, PlanCommon } from '../../../sql/plan/plan.ts'
import { execSettings } from '../../settings/exec-settings.ts'
import { spoiling } from '../../settings/spoiling-settings.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import type { BegunStatement } from './begun-statement.ts'
import { conforming } from './plain-backslashes.ts'
import { type Collected, Collector, ExecFailed } from './replies.ts'
import { needing, type ReplyConsumer, type ShardLine } from './shard-line.ts'

export interface SendOptions {
  readonly writes: boolean
  /** A write that does not pass the gate when it runs by itself: see `Plan`. */
  readonly maintenance?: boolean | undefined
  /** See `Plan` too; nothing for what the agent sees by itself. */
  readonly commits?: ExecRequest['commits']
  readonly taints?: boolean
  /** See ExecRequest. */
  readonly unsettles?: boolean
  readonly pins?: boolean
  /** See ExecRequest; it depends on no shard map. */
  readonly asItIs?: boolean
  /** False: whatever code may leave on other shards, here it has not run. */
  readonly leaves?: boolean
  /** See ExecRequest; default: what the statement under way may do. */
  readonly sequences?: number
  /** False: runs beside the transaction, on whatever backend is free. Default: the shard joins it. */
  readonly joins?: boolean
  /** False: shows nothing of the data, so that it neither waits for what the session has seen nor adds to it. */
  readonly looks?: boolean
  /** Under a cut: its text tells when it has begun (sql/plan/begun-text.ts), its snapshot is that of its execution. */
  readonly begins?: boolean
}

/** Fills everything of the line's request but what is to be run. */
function prepareRequest(ctx: ExecContext, line: ShardLine, options: SendOptions): void {
  const request = line.request
  if (options.joins === false) request.begin = undefined
  else ctx.tx.enter(line, options.writes)
  request.mapVersion = options.asItIs === true ? ANY_MAP_VERSION : ctx.planVersion
  request.settings = ctx.currentSettings()
  const passesGate = options.writes && (ctx.tx.isOpen || options.maintenance !== true)
  request.access = passesGate ? 'write' : 'read'
  request.commits = options.commits
  const leaves = options.asItIs !== true && options.leaves !== false
  if (leaves && ctx.state.leaving !== NO_EFFECTS) keep(ctx, line)
  if ((ctx.state.leaving & EFFECT.lasts) !== 0) request.settings = spoiling(request.settings)
  request.pin = line.kept || (line.shard === HOME && options.pins === true)
  // A backend that is kept will be there for what comes next.
  const code = ctx.tx.isOpen || request.pin ? ctx.node.catalogs.current.code : undefined
  request.settings = execSettings(request.settings, ctx.state.compiles, ctx.state.custom, code)
  request.asItIs = options.asItIs
  request.taints = options.taints === true || ctx.tx.tainted
  request.unsettles = options.unsettles
  request.sequences = options.sequences ?? ctx.state.sequences
  if (request.sequences !== 0) request.sequences = ctx.state.drawn.on(line, request.sequences)
  request.swallow = 0
  request.needs = undefined
  request.cut = line.cutWait === undefined ? undefined : cutFor(ctx, options)
}

function cutFor(ctx: ExecContext, { begins }: SendOptions): ExecRequest['cut'] {
  if (begins === true) return 'execution'
  return ctx.tx.takesSnapshot ? 'transaction' : 'statement'
}

/** Until somebody has looked at its backend. */
function keep({ state }: ExecContext, line: ShardLine): void {
  line.kept = true
  state.kept.add(line)
}

/** Who gets the replies; what asks for no data is none of the statement's business. */
function heard(
  { state }: ExecContext,
  line: ShardLine,
  consumer: ReplyConsumer,
  looks = true,
): ReplyConsumer {
  return state.trace === undefined || !looks ? consumer : state.trace.consumer(line, consumer)
}

/** Of a text of Weft's: it may have definitions in it, which Postgres prints with plain backslashes. */
const own = ({ request }: ShardLine, payload: Buffer): Buffer =>
  request.settings.escapes === true ? conforming(payload) : payload

/** Runs raw frontend messages (one Query, or up to one Sync) on a line. */
export function sendPayload(
  ctx: ExecContext,
  line: ShardLine,
  payload: Buffer,
  options: SendOptions,
  consumer: ReplyConsumer,
): void {
  prepareRequest(ctx, line, options)
  line.request.payload = own(line, payload)
  line.exec(heard(ctx, line, consumer, options.looks), options.looks)
}

/** Runs the client's statement as the client wrote it, or, under a cut, as one that tells when it has `begun`. */
export function sendAsWritten(
  ctx: ExecContext,
  line: ShardLine,
  exec: Execution,
  consumer: ReplyConsumer,
  begun?: BegunStatement,
): void {
  const { plan, bind: bound } = exec
  const options = {
    writes: plan.access === 'write' && exec.bindsOnly !== true,
    maintenance: plan.maintenance,
    commits: exec.bindsOnly === true ? undefined : commitsOf(plan, bound !== undefined),
    taints: plan.effects.taintsBackend,
    unsettles: plan.effects.taintsBackend,
    pins: plan.effects.pins,
    begins: begun !== undefined,
  }
  const { text, ref } = begun ?? exec
  prepareRequest(ctx, line, options)
  const closing = line.cutWait === undefined ? [] : closingDeclared(plan)
  if (bound === undefined) {
    line.request.payload =
      line.cutWait === undefined ? (exec.frame ?? query(text)) : asExtended(text, closing)
  } else {
    // Without a name of its own the next statement takes its place: nothing of it stays.
    const portal = exec.portal?.name ?? ''
    const parts = [...closing, rewriteBindStatement(bound, ref?.name ?? '', portal)]
    if (ref === undefined) parts.unshift(parse('', text, line.typesHere(exec.paramTypes)))
    else line.request.needs = needing(ref)
    if (exec.wantsRowDescription && closing.length === 0) parts.push(describe('P', portal))
    if (exec.bindsOnly !== true) parts.push(execute(portal, exec.maxRows))
    parts.push(SYNC)
    line.request.payload = Buffer.concat(parts)
  }
  line.exec(heard(ctx, line, consumer), plan.tag !== 'SHOW')
}

/** In a Query there are no parameters: Postgres is to see one as it is, and say so. */
export function commitsOf({ commits, paramCount }: PlanCommon, isBound: boolean): ExecRequest['commits'] {
  return commits === 'apart' && !isBound && paramCount > 0 ? undefined : commits
}

/** A cut needs a Bind, which fixes the snapshot. */
function asExtended(text: string, closing: readonly Buffer[]): Buffer {
  const described = closing.length === 0 ? [describe('P', '')] : []
  return Buffer.concat([parse('', text), ...closing, bind({}), ...described, execute('', 0), SYNC])
}

/** Under a cut a DECLARE is executed twice: see ExecRequest. */
function closingDeclared(plan: Plan): readonly Buffer[] {
  return plan.kind === 'cursor' && plan.verb === 'declare' ? [close('P', plan.name)] : []
}

/**
 * Runs another text in place of the client's, with a selection of its parameters (`params`: their numbers in the
 * client's statement, in the order of the new text's $1, $2, …). Results come in the formats the client asked for.
 * `begins`: see SendOptions.
 */
export function sendRewritten(
  ctx: ExecContext,
  line: ShardLine,
  exec: Execution,
  sql: string,
  params: readonly number[],
  consumer: ReplyConsumer,
  resultFormats: readonly number[] = exec.bind?.resultFormats ?? [],
  begins = false,
): void {
  const taints = exec.plan.effects.taintsBackend
  const options = { writes: exec.plan.access === 'write', taints, unsettles: taints, begins }
  prepareRequest(ctx, line, options)
  line.request.payload = own(
    line,
    rewrittenPayload(line, exec, sql, params, { resultFormats, describes: true }),
  )
  line.exec(heard(ctx, line, consumer))
}

interface Beside {
  /** Parameters after the client's. */
  readonly values?: readonly (Buffer | string)[]
  readonly formats?: readonly number[]
  readonly resultFormats: readonly number[]
  readonly describes: boolean
  /** It is bound under this name, and not run yet. */
  readonly portal?: string | undefined
}

/** Of another text that has all of the client's parameters: their numbers. */
export const allParams = ({ paramCount }: Pick<PlanCommon, 'paramCount'>): number[] =>
  Array.from({ length: paramCount }, (_, i) => i + 1)

/** Another text with some of the client's parameters (`params`: their numbers there), as messages up to a Sync. */
export function rewrittenPayload(
  line: ShardLine,
  { paramTypes, bind: bound }: Execution,
  sql: string,
  params: readonly number[],
  { values = [], formats = [], resultFormats, describes, portal }: Beside,
): Buffer {
  return Buffer.concat([
    parse('', sql, line.typesHere(params.map((n) => paramTypes[n - 1] ?? 0))),
    bind({
      portal: portal ?? '',
      params: [...params.map((n) => boundValue(bound, n)), ...values],
      paramFormats: [...params.map((n) => boundFormat(bound, n)), ...formats],
      resultFormats,
    }),
    ...(describes ? [describe('P', '')] : []),
    ...(portal === undefined ? [execute('', 0)] : []),
    SYNC,
  ])
}

export function boundValue(bound: Execution['bind'], number: number): Buffer | null {
  return bound === undefined || number > bound.paramLengths.length ? null : paramValue(bound, number - 1)
}

export function boundFormat(bound: Execution['bind'], number: number): number {
  return bound === undefined ? 0 : paramFormat(bound, number - 1)
}

/** Payload of one statement of Weft's own: text parameters, text results. */
export function ownPayload(
  sql: string,
  params: readonly (string | null)[],
  resultFormats: readonly number[] = [],
): Buffer {
  return Buffer.concat([
    parse('', sql),
    bind({ params, resultFormats }),
    describe('P', ''),
    execute('', 0),
    SYNC,
  ])
}

/** Runs one statement of Weft's own in the session and collects its answer. An ErrorResponse rejects. */
export async function queryShard(
  ctx: ExecContext,
  line: ShardLine,
  sql: string,
  params: readonly (string | null)[],
  options: SendOptions,
): Promise<Collected> {
  const collector = new Collector()
  sendPayload(ctx, line, ownPayload(sql, params), options, collector)
  return settled(ctx, line, collector.ended)
}

/** Runs a simple Query (several statements allowed) and collects its answer; the error is in the result. */
export async function simpleQuery(
  ctx: ExecContext,
  line: ShardLine,
  sql: string,
  options: SendOptions,
  ends?: 'COMMIT' | 'ROLLBACK',
): Promise<Collected> {
  const collector = new Collector()
  prepareRequest(ctx, line, options)
  if (ends === 'COMMIT') line.request.access = 'commit'
  line.request.payload = own(line, query(sql))
  line.exec(collector, ends === undefined && options.looks !== false)
  return failedLeaves(ctx, line, collector.ended)
}

/** A line whose exec failed has no backend any more: it is no longer part of the transaction. */
export async function failedLeaves<T>(ctx: ExecContext, line: ShardLine, ended: Promise<T>): Promise<T> {
  try {
    return await ended
  } catch (error) {
    if (ctx.tx.isOpen) {
      ctx.tx.failed = true
      if (!line.session.holdsBackend) ctx.tx.leave(line)
    }
    throw error
  }
}

/** The end of an exec that writes: by itself, its end is its commit. */
export function endOfWrite<T>(ctx: ExecContext, line: ShardLine, ended: Promise<T>): Promise<T> {
  return ctx.tx.isOpen ? failedLeaves(ctx, line, ended) : unknownIfSent(ended)
}

/** What a commit that was sent and not answered has done is not known: the client must not run it again blindly. */
export async function unknownIfSent<T>(ended: Promise<T>): Promise<T> {
  try {
    return await ended
  } catch (error) {
    if (!(error instanceof ExecFailed) || !error.sent) throw error
    throw weftError('commit_unknown', { shard: error.shard, why: error.message }, error)
  }
}

/** What an exec on a line came to, noted in the transaction. Rejects with its error. */
export async function settled<T extends { readonly status: number; readonly error?: Error }>(
  ctx: ExecContext,
  line: ShardLine,
  ended: Promise<T>,
): Promise<T> {
  return settle(ctx, line, await failedLeaves(ctx, line, ended))
}

/** Notes what an exec's end means for the transaction, and throws its error. */
export function settle<T extends { readonly status: number; readonly error?: Error }>(
  ctx: ExecContext,
  line: ShardLine,
  end: T,
): T {
  if (ctx.tx.isOpen && line.joined && end.status !== 0x54) {
    ctx.tx.failed = true
    if (end.status === 0x49) ctx.tx.leave(line)
  }
  if (end.error !== undefined) throw end.error
  return end
}
