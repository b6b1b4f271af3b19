import { PgError } from '../../../errors/pg-error.ts'
import { gatheredSize, MAX_GATHERED } from './gathered-size.ts'

/** Whether statements may go to several shards; whether shards do a part of a query's work, beside giving its rows. */
export const SCATTER = 'weft.scatter'
export const PUSHDOWN = 'weft.pushdown'
/** Whether rows are given to all shards for joins off the key: where that moves less, wherever it can be, or not at all. */
export const SPREAD = 'weft.spread'

/**
 * How many values a coordinator draws from a sequence at a time for the columns of sharded and reference tables; `auto`: as
 * many ahead as were used.
 */
export const SEQUENCE_BLOCK = 'weft.sequence_block'
const SEQUENCE_BLOCK_MAX = 10_000

/** What a role or a database may have a default for (ALTER ROLE … SET): the coordinator reads it when a session begins. */
export const WEFT_DEFAULTS = [SCATTER, PUSHDOWN, SPREAD, MAX_GATHERED, SEQUENCE_BLOCK] as const

export const SCATTER_VALUES = ['allow', 'notice', 'refuse'] as const
export type Scatter = (typeof SCATTER_VALUES)[number]

export const SPREAD_VALUES = ['auto', 'always', 'never'] as const
export type Spreading = (typeof SPREAD_VALUES)[number]

/** Undefined: no value of it. */
export const scatterValue = (text: string): Scatter | undefined => oneOf(SCATTER_VALUES, text)
export const spreadValue = (text: string): Spreading | undefined => oneOf(SPREAD_VALUES, text)

function oneOf<T extends string>(values: readonly T[], text: string): T | undefined {
  const word = text.trim().toLowerCase()
  return values.find((value) => value === word)
}

export type SequenceBlock = number | 'auto'

/** Undefined: no value of it. */
export function sequenceBlock(text: string): SequenceBlock | undefined {
  if (oneOf(['auto'], text) !== undefined) return 'auto'
  const value = /^\s*\d+\s*$/.test(text) ? Number(text) : 0
  return value >= 1 && value <= SEQUENCE_BLOCK_MAX ? value : undefined
}

/** The error for a value that such a setting cannot have. */
export function refuseSeveral(name: string, value: string): PgError | undefined {
  if (name === SCATTER && scatterValue(value) === undefined)
    return invalid(name, value, `Available values: ${SCATTER_VALUES.join(', ')}.`)
  if (name === SPREAD && spreadValue(value) === undefined)
    return invalid(name, value, `Available values: ${SPREAD_VALUES.join(', ')}.`)
  if (name === MAX_GATHERED && gatheredSize(value) === undefined)
    return invalid(name, value, 'Say a size of 256MB at most, as in 64MB.')
  if (name === SEQUENCE_BLOCK && sequenceBlock(value) === undefined)
    return invalid(name, value, `Say auto, or a number from 1 to ${SEQUENCE_BLOCK_MAX}.`)
  return undefined
}

function invalid(name: string, value: string, hint: string): PgError {
  return new PgError({ code: '22023', message: `invalid value for parameter "${name}": "${value}"`, hint })
}
