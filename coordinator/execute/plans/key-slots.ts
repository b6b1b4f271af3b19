import type { BindMessage } from '../../../protocol/wire/frontend-messages.ts'
import type { KeyType } from '../../../sql/catalog.ts'
import { NO_CONTEXT } from '../../../sql/hash/key-answer.ts'
import {
  type KeyContext,
  type SlotAnswer,
  slotForConstant,
  slotForLiteral,
  slotForParam,
  UNSURE,
} from '../../../sql/hash/key-value.ts'
import { TYPE_OIDS } from '../../../sql/hash/type-oids.ts'
import type { Lexed } from '../../../sql/lex/lexed.ts'
import { LITERAL } from '../../../sql/lex/lexed.ts'
import { offsetMap } from '../../../sql/lex/split.ts'
import type { KeyValue } from '../../../sql/plan/plan.ts'

export { NO_MATCH, NULL_KEY, UNSURE } from '../../../sql/hash/key-value.ts'

/** Reads the shard key values of one execution. */
export interface KeySlots {
  /** Slot of a value, or NULL_KEY, NO_MATCH, UNSURE. */
  slot(keyType: KeyType, value: KeyValue, context?: KeyContext): SlotAnswer
  /** A literal as it stands in the text, sign included; undefined for parameters. */
  literalSql(value: KeyValue): string | undefined
  /** Text of a text-format parameter, null for NULL. */
  paramText(number: number): string | null
  /** Where the literals of the text end. */
  literalEnds(text: string): readonly number[]
}

const NO_PARAMS: readonly number[] = []

/** The values of a text's literals and of a Bind's parameters. Reused from statement to statement on the hot path. */
export class StatementKeys implements KeySlots {
  private sql: Buffer = Buffer.alloc(0)
  private lexed: Lexed | undefined
  private bind: BindMessage | undefined
  private types: readonly number[] = NO_PARAMS
  /** Parameters whose type cannot be told from the statement; asked for before a key is read from them. */
  private unclear: readonly number[] = NO_PARAMS

  ofText(sql: Buffer, lexed: Lexed): this {
    this.sql = sql
    this.lexed = lexed
    this.bind = undefined
    return this
  }

  ofBind(
    statement: { readonly sql: Buffer; readonly lexed: Lexed; readonly paramTypes: readonly number[] },
    bind: BindMessage,
    unclear: readonly number[] = NO_PARAMS,
  ): this {
    this.sql = statement.sql
    this.lexed = statement.lexed
    this.bind = bind
    this.types = statement.paramTypes
    this.unclear = unclear
    return this
  }

  slot(keyType: KeyType, value: KeyValue, context: KeyContext = NO_CONTEXT): SlotAnswer {
    const { source } = value
    switch (source.kind) {
      case 'literal': {
        const { lexed } = this
        if (lexed === undefined || !lexed.ok || source.index >= lexed.literalCount) return UNSURE
        return slotForLiteral(keyType, this.sql, lexed, source.index, source.negate, value.castTo, context)
      }
      case 'param':
        return this.paramSlot(keyType, source.number, value.castTo, context)
      case 'constant':
        return value.castTo === undefined ? slotForConstant(keyType, source.value) : UNSURE
    }
  }

  private paramSlot(
    keyType: KeyType,
    number: number,
    castTo: string | undefined,
    context: KeyContext,
  ): SlotAnswer {
    const { bind } = this
    const length = bind?.paramLengths[number - 1]
    if (bind === undefined || length === undefined) return UNSURE
    const formats = bind.paramFormats
    const binary = ((formats.length === 1 ? formats[0] : formats[number - 1]) ?? 0) === 1
    let oid = this.types[number - 1] ?? 0
    if (oid === 0 && this.unclear.includes(number))
      return length < 0 ? slotForConstant(keyType, null) : UNSURE
    if (castTo !== undefined) {
      // A parameter without a type has that of its cast; another type is converted first, by Postgres.
      const cast = TYPE_OIDS[castTo]
      if (cast === undefined || (oid !== 0 && oid !== cast)) return UNSURE
      oid = cast
    }
    // The type that Postgres infers from `key = $n`.
    if (oid === 0 && binary) oid = TYPE_OIDS[keyType] ?? 0
    return slotForParam(keyType, oid, binary, bind.buffer, bind.paramStarts[number - 1]!, length, context)
  }

  literalSql(value: KeyValue): string | undefined {
    const { source } = value
    if (source.kind === 'constant') return source.value ?? 'NULL'
    if (source.kind !== 'literal' || this.lexed === undefined) return undefined
    const { lexed } = this
    const start = lexed.starts[source.index]! - (lexed.kinds[source.index] === LITERAL.national ? 1 : 0)
    const text = this.sql.toString('utf8', start, lexed.ends[source.index]!)
    return source.negate ? `(-${text})` : text
  }

  literalEnds(text: string): readonly number[] {
    const { lexed } = this
    if (lexed === undefined || lexed.literalCount === 0) return []
    const map = offsetMap(text)
    return Array.from(lexed.ends.subarray(0, lexed.literalCount), (end) => map.toUtf16(end - lexed.start))
  }

  paramText(number: number): string | null {
    const { bind } = this
    const length = bind?.paramLengths[number - 1]
    const start = bind?.paramStarts[number - 1]
    if (bind === undefined || length === undefined || start === undefined || length < 0) return null
    return bind.buffer.toString('utf8', start, start + length)
  }
}
