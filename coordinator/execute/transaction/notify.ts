import { PgError } from '../../../errors/pg-error.ts'
import { commandComplete, dataRow } from '../../../protocol/wire/backend-messages.ts'
import { backslashesSpelt } from '../../../sql/lex/backslashes.ts'
import { quoteText } from '../../../sql/plan/text-scan.ts'
import type { ExecContext, Execution } from '../context.ts'
import { quoteName } from '../quote.ts'
import { voidColumn } from '../settings/setting.ts'

const PAYLOAD_BYTES_MAX = 7999
const CHANNEL_BYTES_MAX = 63
const VALUE = String.raw`(?:'((?:[^'\\]|'')*)'|\$(\d+))(?:\s*::\s*(?:text|varchar))?`
const CALL = new RegExp(
  String.raw`^\s*select\s+(?:pg_catalog\s*\.\s*)?pg_notify\s*\(\s*${VALUE}\s*,\s*${VALUE}\s*\)` +
    String.raw`(?:\s+as\s+([a-z_][a-z0-9_]*))?\s*;?\s*$`,
  'i',
)

/** A NOTIFY, or a SELECT of `pg_notify` alone, whose channel and payload can be told. */
export interface Notification {
  /** The NOTIFY statement to run when the transaction commits. */
  readonly sql: string
  /** Name of the column that the client expects; undefined for a NOTIFY. */
  readonly column: string | undefined
}

/** Recognizes what can be kept back until the commit; throws Postgres' error for what it would refuse. */
export function notificationOf(exec: Execution): Notification | undefined {
  const { plan, text } = exec
  if (plan.tag === 'NOTIFY') {
    const payload = /,\s*'((?:[^']|'')*)'\s*;?\s*$/.exec(text)?.[1] ?? ''
    check('channel', payload.replaceAll("''", "'"))
    // It is sent later: the session may read strings otherwise by then.
    return { sql: backslashesSpelt(text), column: undefined }
  }
  if (plan.tag !== 'SELECT' || !/pg_notify/i.test(text)) return undefined
  const call = CALL.exec(text)
  if (call === null) return undefined
  const [, channelText, channelParam, payloadText, payloadParam, column] = call
  const channel = textOf(exec, channelText, channelParam) ?? ''
  const payload = textOf(exec, payloadText, payloadParam) ?? ''
  check(channel, payload)
  return {
    sql: `NOTIFY ${quoteName(channel)}, ${quoteText(payload)}`,
    column: column?.toLowerCase() ?? 'pg_notify',
  }
}

function textOf(exec: Execution, literal: string | undefined, param: string | undefined): string | null {
  if (param !== undefined) return exec.keys.paramText(Number(param))
  return literal?.replaceAll("''", "'") ?? null
}

function check(channel: string, payload: string): void {
  const refuse = (message: string) => new PgError({ code: '22023', message })
  if (channel === '') throw refuse('channel name cannot be empty')
  if (Buffer.byteLength(channel) > CHANNEL_BYTES_MAX) throw refuse('channel name too long')
  if (Buffer.byteLength(payload) > PAYLOAD_BYTES_MAX) throw refuse('payload string too long')
}

/** PREPARE TRANSACTION refuses a transaction that has notified: it is done when the commit is certain. */
export function deferNotification(ctx: ExecContext, exec: Execution, { sql, column }: Notification): void {
  ctx.state.notifications.push(sql)
  if (column === undefined) return ctx.out.hold(commandComplete('NOTIFY'))
  if (exec.wantsRowDescription) ctx.out.push(voidColumn(column))
  ctx.out.push(dataRow(['']))
  ctx.out.hold(commandComplete('SELECT 1'))
}
