import { PgError } from '../../../errors/pg-error.ts'
import { gatheredSize, MAX_GATHERED } from './gathered-size.ts'

/** Whether statements may go to several shards; whether shards do a part of a query's work, beside giving its rows. */
export const SCATTER = 'weft.scatter'
export const PUSHDOWN = 'weft.pushdown'

/** What a role or a database may have a default for (ALTER ROLE … SET): the coordinator reads it when a session begins. */
export const WEFT_DEFAULTS = [SCATTER, PUSHDOWN, MAX_GATHERED] as const

export const SCATTER_VALUES = ['allow', 'notice', 'refuse'] as const
export type Scatter = (typeof SCATTER_VALUES)[number]

/** Undefined: no value of it. */
export function scatterValue(text: string): Scatter | undefined {
  const word = text.trim().toLowerCase()
  return SCATTER_VALUES.find((value) => value === word)
}

/** The error for a value that such a setting cannot have. */
export function refuseSeveral(name: string, value: string): PgError | undefined {
  if (name === SCATTER && scatterValue(value) === undefined)
    return invalid(name, value, `Available values: ${SCATTER_VALUES.join(', ')}.`)
  if (name === MAX_GATHERED && gatheredSize(value) === undefined)
    return invalid(name, value, 'Say a size of 256MB at most, as in 64MB.')
  return undefined
}

function invalid(name: string, value: string, hint: string): PgError {
  return new PgError({ code: '22023', message: `invalid value for parameter "${name}": "${value}"`, hint })
}
