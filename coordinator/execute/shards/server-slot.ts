import { weftError } from '../../../errors/catalog.ts'
import type { Refused } from '../../../errors/refusals/refusals.ts'
import {
  bind,
  describe,
  execute,
  paramFormat,
  paramValue,
  parse,
  query,
  SYNC,
} from '../../../protocol/wire/frontend-messages.ts'
import type { KeyType } from '../../../sql/catalog.ts'
import { NO_CONTEXT } from '../../../sql/hash/key-answer.ts'
import { type KeyContext, slotForText } from '../../../sql/hash/key-value.ts'
import { slotExpression } from '../../../sql/hash/slot-expression.ts'
import { storedType } from '../../../sql/hash/stored-type.ts'
import type { KeyValue } from '../../../sql/plan/plan.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { NULL_KEY } from '../plans/key-slots.ts'
import { Collector } from './replies.ts'
import { queryShard, sendPayload, settled } from './send.ts'
import type { ShardLine } from './shard-line.ts'

/**
 * Lets Postgres read a key value that this code cannot read with certainty (a timestamp in the session's own style,
 * say): one statement on the home shard, with the session's settings. Returns the slot or NULL_KEY; a value that
 * Postgres refuses is refused here with Postgres' own error.
 */
export async function evaluateSlot(
  ctx: ExecContext,
  keyType: KeyType,
  value: KeyValue,
  exec: Execution,
  assignment?: KeyContext,
): Promise<number> {
  mustStandStill(keyType, value, exec)
  const operand = `(${exec.keys.literalSql(value) ?? '$1'}${value.castTo === undefined ? '' : `::${value.castTo}`})`
  const isTyped = assignment === undefined && !isUntyped(value, exec)
  const sql = isTyped ? slotOfTyped(keyType, operand) : slotOfCast(keyType, operand, assignment?.typmod)
  await ctx.admit()
  const line = ctx.line(HOME)
  const payload = isUnbound(value, exec)
    ? query(exec.text)
    : Buffer.concat([
        ...judgement(line, exec),
        ...bound(sql, value, exec),
        describe('P', ''),
        execute('', 0),
        SYNC,
      ])
  const collector = new Collector()
  sendPayload(ctx, line, payload, { writes: false }, collector)
  const end = await settled(ctx, line, collector.ended)
  const slot = end.rows[0]?.[0]
  return slot === null || slot === undefined ? NULL_KEY : Number(slot.toString())
}

const judged = new WeakSet<Execution>()

/** Postgres judges the client's own statement first, and once: its errors have their place in that. */
function judgement(line: ShardLine, exec: Execution): readonly Buffer[] {
  if (judged.has(exec)) return []
  judged.add(exec)
  return [parse('', exec.text, line.typesHere(exec.paramTypes))]
}

/** A parameter in a Query, where there are none: Postgres says so, and nothing runs. */
function isUnbound({ source }: KeyValue, { bind: message }: Execution): boolean {
  return source.kind === 'param' && message === undefined
}

const INTEGERS: ReadonlySet<KeyType> = new Set(['int2', 'int4', 'int8'])

function slotOfCast(keyType: KeyType, operand: string, typmod: number | undefined): string {
  return `SELECT ${slotExpression(keyType, `${operand}::${storedType(keyType, typmod)}`)}`
}

/** What has a type of its own is not always read as one of the key's. */
function slotOfTyped(keyType: KeyType, operand: string): string {
  if (INTEGERS.has(keyType)) return slotOfNumber(operand)
  // Compared as a float8: to round it would make it another.
  return slotOfCast(keyType === 'float4' ? 'float8' : keyType, operand, undefined)
}

/** Compared as a number: what the key's type has no room for, or has a fraction, equals none of its values. */
function slotOfNumber(operand: string): string {
  const fits = 'v = trunc(v) AND v BETWEEN -9223372036854775808 AND 9223372036854775807'
  return `SELECT CASE WHEN ${fits} THEN ${slotExpression('int8', 'v::int8')} END FROM (SELECT ${operand}::numeric AS v) w`
}

/** A string or parameter that the key's own type reads. */
function isUntyped({ source, castTo }: KeyValue, exec: Execution): boolean {
  if (castTo !== undefined) return false
  if (source.kind === 'param') return [0, OID_UNKNOWN].includes(exec.paramTypes[source.number - 1] ?? 0)
  return !/^[(.\d]/.test(exec.keys.literalSql({ source }) ?? '')
}

const OID_UNKNOWN = 705
const TIMES: ReadonlySet<string> = new Set(['date', 'timestamp', 'timestamptz', 'time', 'timetz'])

/** No number for the offset, or a zone whose offset is another in summer. */
const UNTOLD_OFFSET = /^'?[\d\s:.]*(am|pm)?'?$|[a-z]{3}/i
const untoldOffset: Refused = {
  id: 'time_word_key',
  what: 'a time with time zone without its offset, as a shard key, is not supported: the offset is that of the moment',
  hint: "Say the offset, as in '12:00:00+02'.",
}

/** The shard reads the value too, a moment later and by its own clock: its 'now' would be another key. */
function mustStandStill(keyType: KeyType, value: KeyValue, exec: Execution): void {
  if (!TIMES.has(keyType)) return
  const { source } = value
  const text = source.kind === 'param' ? exec.keys.paramText(source.number) : exec.keys.literalSql(value)
  if (keyType === 'timetz' && UNTOLD_OFFSET.test(text ?? '')) throw weftError('not_supported', untoldOffset)
  const word = /\b(now|today|tomorrow|yesterday)\b/i.exec(text ?? '')?.[1]
  if (word === undefined) return
  throw weftError('not_supported', {
    id: 'time_word_key',
    what: `the word '${word}' as a shard key is not supported: each server reads it by its own clock`,
    hint: 'Give the time itself.',
  })
}

/** Slot of a value in the text form that Postgres printed, once it is stored in a key column with this modifier. */
export async function slotOfText(
  ctx: ExecContext,
  keyType: KeyType,
  text: string | null,
  typmod: number | undefined,
): Promise<number> {
  const slot = slotForText(keyType, text, 'unknown', typmod === undefined ? NO_CONTEXT : { typmod })
  if (slot >= 0 || slot === NULL_KEY) return slot
  const sql = `SELECT ${slotExpression(keyType, `$1::${storedType(keyType, typmod)}`)}`
  // The home shard may be busy giving the rows of an INSERT … SELECT: every shard reads values alike.
  const home = ctx.line(HOME)
  const line = home.active ? ctx.line(HOME + 1) : home
  const answer = await queryShard(ctx, line, sql, [text], { writes: false })
  return Number(answer.rows[0]![0]!.toString())
}

/** Parse and Bind; the client's parameter goes along as it is, in its own format and type. */
function bound(sql: string, value: KeyValue, exec: Execution): Buffer[] {
  const { source } = value
  const message = exec.bind
  if (source.kind !== 'param' || message === undefined) return [parse('', sql), bind({})]
  const at = source.number - 1
  const own = bind({ params: [paramValue(message, at)], paramFormats: [paramFormat(message, at)] })
  return [parse('', sql, [exec.paramTypes[at] ?? 0]), own]
}
