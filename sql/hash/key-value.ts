/** Slots of key values as they stand in a client's messages: literals, parameters, constants. */
import type { KeyType } from '../catalog.ts'
import { type Lexed, LITERAL } from '../lex/lexed.ts'
import { isPlainString, literalContent } from '../lex/literal.ts'
import { keySourceOfOid, slotForBinary } from './binary-value.ts'
import { type KeyContext, NO_CONTEXT, NULL_KEY, type SlotAnswer, UNSURE } from './key-answer.ts'
import { slotForTextBytes, slotOfBool } from './text-value.ts'

export { slotForBinary } from './binary-value.ts'
export {
  type KeyContext,
  type KeySource,
  NO_CONTEXT,
  NO_MATCH,
  NULL_KEY,
  type SlotAnswer,
  UNSURE,
} from './key-answer.ts'
export { slotForText, slotForTextBytes } from './text-value.ts'

/** Casts of a number literal that change nothing in what it equals, or are refused by Postgres. */
const NUMBER_CASTS: ReadonlySet<string> = new Set(['int2', 'int4', 'int8', 'numeric'])

/**
 * Slot of the literal number `index` of a statement that was lexed. `negate`: a unary minus stands before it.
 * `castTo`: a cast around it, to a type without modifier (`'abc'::varchar(2)` is not 'abc').
 */
export function slotForLiteral(
  keyType: KeyType,
  buf: Buffer,
  lexed: Lexed,
  index: number,
  negate: boolean,
  castTo?: string,
  context: KeyContext = NO_CONTEXT,
): SlotAnswer {
  const kind = lexed.kinds[index]!
  const start = lexed.starts[index]!
  const end = lexed.ends[index]!
  if (kind === LITERAL.integer || kind === LITERAL.float) {
    if (castTo === undefined) return slotForTextBytes(keyType, buf, start, end, 'number', negate, context)
    if (!NUMBER_CASTS.has(castTo)) return UNSURE
    return slotForTextBytes(keyType, buf, start, end, castTo, negate, context)
  }
  const source = castTo ?? 'unknown'
  if (kind === LITERAL.string && isPlainString(buf, start, end)) {
    return slotForTextBytes(keyType, buf, start + 1, end - 1, source, negate, context)
  }
  // N'…' is a bpchar, which loses its spaces at the end.
  if (kind === LITERAL.national) return UNSURE
  const content = literalContent(buf, start, end, kind)
  if (content === undefined) return UNSURE
  return slotForTextBytes(keyType, content, 0, content.length, source, negate, context)
}

/** Slot of a Bind parameter. `typeOid`: as declared or described, 0 when Postgres takes the key's type. */
export function slotForParam(
  keyType: KeyType,
  typeOid: number,
  binary: boolean,
  buf: Buffer,
  start: number,
  length: number,
  context: KeyContext = NO_CONTEXT,
): SlotAnswer {
  if (length < 0) return NULL_KEY
  if (binary) return slotForBinary(keyType, typeOid, buf, start, length, context)
  const source = keySourceOfOid(typeOid)
  if (source === undefined) return UNSURE
  return slotForTextBytes(keyType, buf, start, start + length, source, false, context)
}

/** Slot of one of the keywords true, false and NULL. */
export function slotForConstant(keyType: KeyType, value: 'true' | 'false' | null): SlotAnswer {
  if (value === null) return NULL_KEY
  return keyType === 'bool' ? slotOfBool(value === 'true') : UNSURE
}
