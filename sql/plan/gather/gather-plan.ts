import type { Transport } from './transport.ts'

/** A text with a selection of the client's parameters: its $1 is the client's `params[0]`. */
export interface PartText {
  readonly sql: string
  readonly params: readonly number[]
}

/** Rows of one FROM item. */
export interface GatherInput {
  /** Name for errors. */
  readonly table: string
  readonly columns: readonly Transport[]
}

/**
 * The general way to answer a query over several shards (rule 2 of the design): the rows and columns it needs are gathered,
 * all of them as of one moment by one statement, and one Postgres runs the query over them.
 */
export interface GatherPlan {
  readonly inputs: readonly GatherInput[]
  /**
   * Runs on every shard. Its rows: number of the input (int4), then the columns of all inputs one after the other, NULL
   * but for those of its own. `UNSAFE_ROW` in place of the number: the session's settings lose something in a column
   * sent as text.
   */
  readonly part: PartText
  /** On one of the shards in its place: rows of reference tables too. */
  readonly first: PartText
  /**
   * Runs on one of them. The client's parameters keep their numbers; the inputs' columns, as arrays, are the parameters
   * after them.
   */
  readonly finish: string
}

export const UNSAFE_ROW = -1

/** Stands for an input's rows while the query's text is made. */
const NAME = '__weft_gathered_'
export const gatheredName = (input: number): string => `${NAME}${input}`
export const isGatheredName = (text: string): boolean => text.includes(NAME)
export const GATHERED_NAMES = new RegExp(`${NAME}(\\d+)`, 'g')
