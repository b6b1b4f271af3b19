import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import {
  NO_DATA,
  parseErrorFields,
  parseParameterDescription,
  parseRowDescription,
} from '../../protocol/wire/backend-messages.ts'
import { FrameReader, MSG } from '../../protocol/wire/frames.ts'
import { describe, parse, SYNC } from '../../protocol/wire/frontend-messages.ts'
import type { Plan, PreparedPlan } from '../../sql/plan/plan.ts'
import { linesWithCursors, type OpenPortal } from '../execute/answers/open-portal.ts'
import { setFormats, setOrigins, translateRowDescription } from '../execute/answers/row-types.ts'
import { HOME } from '../execute/context.ts'
import { declareRowDescription } from '../execute/declare/declare-function.ts'
import { textColumn } from '../execute/settings/setting.ts'
import { ExecFailed, REPLY_FRAME_BYTES_MAX } from '../execute/shards/replies.ts'
import { sendPayload, settled } from '../execute/shards/send.ts'
import type { ReplyConsumer, ShardLine } from '../execute/shards/shard-line.ts'
import type { ClientSession } from './client-session.ts'
import { planned } from './planned.ts'
import { type Described, type Prepared, surrounded } from './prepared.ts'
import type { SlowPath } from './slow-path.ts'

const TEXT = 25
const NOTHING: Described = { paramTypes: [], rowDescription: undefined }

/**
 * What a prepared statement takes and returns, as Postgres tells it: every table exists on the home shard, so the home
 * shard can describe every statement as written. `unclear`: only when a key could not be read otherwise.
 */
export async function describeStatement(
  session: ClientSession,
  slow: SlowPath,
  statement: Prepared,
  when: 'always' | 'unclear' = 'always',
): Promise<Described> {
  const { version } = session.node.catalogs.current
  const plan = await planned(session, statement, await slow.scope())
  if (statement.described !== undefined) return statement.described
  if (statement.describedBefore !== undefined) when = 'always'
  if (when === 'unclear' && plan.paramsToDescribe.length === 0) return NOTHING
  if (plan.kind === 'prepared' && plan.verb === 'execute') return describeExecute(session, slow, plan)
  if (plan.kind === 'cursor' && plan.tag === 'FETCH') {
    const spent = session.portals.spent(plan.name)
    if (spent !== undefined) return { ...(await describeStatement(session, slow, spent)), paramTypes: [] }
  }
  const isOwn = plan.kind === 'refused' && plan.isPostgres !== true
  if (isOwn && (await slow.wasOutdated(version))) return describeStatement(session, slow, statement, when)
  const { epoch } = session.node.schema
  const own = describedHere(plan)
  if (own !== undefined) {
    const described = { ...own, paramTypes: declaredOr(own.paramTypes, statement.declaredTypes) }
    statement.describe(described, epoch)
    return described
  }
  const line = describingLine(session, plan)
  const types = line.typesHere(statement.declaredTypes)
  const payload = Buffer.concat([parse('', statement.sql, types), describe('S', ''), SYNC])
  const end = await slow.untilCurrent(async () => {
    const consumer = new DescribeConsumer()
    sendPayload(session, line, payload, { writes: false, joins: line.joined }, consumer)
    return await settled(session, line, consumer.ended)
  })
  const cursor = plan.kind === 'cursor' ? session.state.cursors.get(plan.name) : undefined
  say(cursor, end.described)
  mustAgree(statement.describedBefore, end.described)
  statement.describe(end.described, epoch)
  return end.described
}

/** An EXECUTE returns what the statement does that it names. */
async function describeExecute(
  session: ClientSession,
  slow: SlowPath,
  plan: PreparedPlan,
): Promise<Described> {
  const inner = session.prepared.get(plan.name)
  if (inner === undefined) return NOTHING
  await describeStatement(session, slow, inner)
  const { rowDescription } = await describeStatement(
    session,
    slow,
    await surrounded(session.planner, inner, plan),
  )
  return { paramTypes: [], rowDescription }
}

/** What a statement returns was fixed when it was prepared, as in Postgres. */
function mustAgree(before: Described | undefined, now: Described): void {
  if (before === undefined || rowTypes(before) === rowTypes(now)) return
  // Drivers that prepare such a statement anew know the error by its routine.
  const routine = 'RevalidateCachedQuery'
  throw new PgError({ code: '0A000', message: 'cached plan must not change result type', routine })
}

function rowTypes({ rowDescription: rows }: Described): string {
  if (rows === undefined) return ''
  const columns = parseRowDescription(rows, 5, rows.length)
  return columns.map((column) => `${column.name} ${column.typeOid} ${column.typmod}`).join()
}

/** Statements that Weft answers itself, and those of which Postgres says nothing before they run. */
function describedHere(plan: Plan): Described | undefined {
  switch (plan.kind) {
    case 'declare':
      return { paramTypes: paramTypesOf(plan.paramCount), rowDescription: declareRowDescription(plan) }
    case 'setting':
      if (plan.verb === 'show-weft') return { paramTypes: [], rowDescription: textColumn(plan.name ?? '') }
      if (plan.viaFunction)
        return { paramTypes: paramTypesOf(plan.paramCount), rowDescription: textColumn('set_config') }
      return NOTHING
    case 'refused':
      if (plan.isPostgres === true) return undefined
      throw plan.error
    case 'ddl':
      return plan.paramCount > 0 ? undefined : NOTHING
    case 'transaction':
    case 'empty':
    case 'materialize':
    case 'copy':
    case 'prepared':
      return NOTHING
    default:
      return undefined
  }
}

/** What is declared counts, taken or not. */
function declaredOr(types: readonly number[], declared: readonly number[]): readonly number[] {
  if (declared.length === 0) return types
  const count = Math.max(types.length, declared.length)
  return Array.from({ length: count }, (_, i) => declared[i] || (types[i] ?? TEXT))
}

function paramTypesOf(count: number): readonly number[] {
  return Array.from({ length: count }, () => TEXT)
}

/** A shard of the transaction sees its uncommitted tables; outside one, the home shard knows them all. */
function describingLine(session: ClientSession, plan: Plan): ShardLine {
  if (plan.kind === 'cursor') return cursorLine(session, plan.name)
  const home = session.line(HOME)
  const isHome =
    plan.kind === 'forward' && (plan.route.kind === 'home' || plan.onSeveral.kind === 'gather-outside')
  const [joined] = session.tx.joined
  return isHome || home.joined || joined === undefined ? home : joined
}

/** What Postgres says of a cursor, or of a portal that it has. */
export async function describeCursor(session: ClientSession, portal: OpenPortal): Promise<Buffer> {
  const { name, lines } = portal
  if (session.tx.failed) throw weftError('in_failed_transaction', {})
  const [line] = lines
  const consumer = new DescribeConsumer()
  const payload = Buffer.concat([describe('P', name), SYNC])
  sendPayload(session, line!, payload, { writes: false, looks: false }, consumer)
  const end = await settled(session, line!, consumer.ended)
  say(portal, end.described)
  return end.described.rowDescription ?? NO_DATA
}

function say(portal: OpenPortal | undefined, { rowDescription }: Described): void {
  if (portal?.origins !== undefined && rowDescription !== undefined)
    setOrigins(rowDescription, 0, portal.origins)
}

/** Only a backend that has a cursor knows what FETCH returns. */
function cursorLine(session: ClientSession, name: string): ShardLine {
  const [line] = session.state.cursors.get(name)?.lines ?? linesWithCursors(session)
  return line ?? session.line(HOME)
}

interface DescribeEnd {
  readonly status: number
  readonly described: Described
  readonly error?: PgError
}

class DescribeConsumer implements ReplyConsumer {
  private readonly reader = new FrameReader({ frameBytesMax: REPLY_FRAME_BYTES_MAX })
  private paramTypes: readonly number[] = []
  private rows: Buffer | undefined
  private error: PgError | undefined
  readonly ended: Promise<DescribeEnd>
  private resolve!: (end: DescribeEnd) => void
  private reject!: (error: Error) => void

  constructor() {
    this.ended = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }

  data(line: ShardLine, chunk: Buffer, ready: number): void {
    const { reader } = this
    reader.push(chunk)
    while (reader.next()) {
      const { type, buffer, start, bodyStart, end } = reader
      if (type === MSG.parameterDescription)
        this.paramTypes = atHome(line, parseParameterDescription(buffer, bodyStart, end))
      else if (type === MSG.rowDescription) this.rows = rowsAtHome(line, buffer.subarray(start, end))
      else if (type === MSG.errorResponse)
        this.error ??= new PgError(parseErrorFields(buffer, bodyStart, end))
    }
    if (ready === 0) return
    const described = { paramTypes: this.paramTypes, rowDescription: this.rows }
    this.resolve({ status: ready, described, ...(this.error === undefined ? {} : { error: this.error }) })
  }

  failed(line: ShardLine, error: PgError, sent: boolean): void {
    this.reject(new ExecFailed(error, sent, line.shard))
  }
}

function atHome({ typeNumbers }: ShardLine, types: readonly number[]): readonly number[] {
  return typeNumbers === undefined ? types : types.map((type) => typeNumbers.get(type) ?? type)
}

function rowsAtHome({ typeNumbers, missedType }: ShardLine, message: Buffer): Buffer {
  const rows = Buffer.from(message)
  if (typeNumbers !== undefined) translateRowDescription(rows, 0, typeNumbers, missedType)
  return rows
}

/** A RowDescription with the formats that a Bind asked for. */
export function formatted(message: Buffer, formats: readonly number[]): Buffer {
  if (formats.every((format) => format === 0)) return message
  const own = Buffer.from(message)
  setFormats(own, 0, formats)
  return own
}
