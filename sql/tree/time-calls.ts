/**
 * What tells the time in which a transaction or a statement began. A shard would tell its own; the coordinator puts one
 * time for all in its place (sql/plan/times, docs/decisions/0017-one-time.md). PURE.
 */
import type * as Pg from '@pgsql/types'
import type { Catalog } from '../catalog.ts'
import { qualified } from '../parse/ast.ts'

/** Of the transaction's begin, or of the statement's. */
export type Clock = 'transaction' | 'statement'

const FUNCTIONS: Readonly<Record<string, Clock>> = {
  now: 'transaction',
  transaction_timestamp: 'transaction',
  statement_timestamp: 'statement',
}

/** Types of the keywords' values. */
const KEYWORDS: Readonly<Record<string, string>> = {
  CURRENT_DATE: 'date',
  CURRENT_TIME: 'timetz',
  CURRENT_TIMESTAMP: 'timestamptz',
  LOCALTIME: 'time',
  LOCALTIMESTAMP: 'timestamp',
}

/** Each has a namesake in schema `weft` (sql/install/time-functions.ts) that is told the time: a column keeps its label. */
const NAMESAKES: ReadonlySet<string> = new Set([
  ...Object.keys(FUNCTIONS),
  ...Object.keys(KEYWORDS).map((keyword) => keyword.toLowerCase()),
  'age',
])

export const isNamesake = (name: string): boolean => NAMESAKES.has(name)

/** Whether it can be that a text tells such a time. */
export const mayTellTime = (text: string): boolean => /now|age|timestamp|current_|localtime/i.test(text)

export interface TimeCall {
  readonly name: string
  readonly clock: Clock
}

/** A call that tells such a time. `age(x)` is the difference to CURRENT_DATE. */
export function timeCall(call: Pg.FuncCall, catalog: Catalog): TimeCall | undefined {
  const { schema, name } = qualified(call.funcname)
  if (schema !== undefined && schema !== 'pg_catalog') return undefined
  if (schema === undefined && catalog.isUserFunction(name)) return undefined
  const count = call.args?.length ?? 0
  if (name === 'age') return count === 1 ? { name, clock: 'transaction' } : undefined
  const clock = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined
  return clock === undefined || count > 0 ? undefined : { name, clock }
}

export interface TimeKeyword {
  /** As it is written, in upper case. */
  readonly word: string
  readonly type: string
  /** `(n)` follows. */
  readonly hasPrecision: boolean
}

export function timeKeyword({ op }: Pg.SQLValueFunction): TimeKeyword | undefined {
  const [, word = '', precision] = /^SVFOP_(\w+?)(_N)?$/.exec(op ?? '') ?? []
  const type = KEYWORDS[word]
  return type === undefined ? undefined : { word, type, hasPrecision: precision !== undefined }
}
