/** One thing that Weft refuses, as docs/sql.md tells it. The errors themselves name the tables and columns. */
export interface Refusal {
  /** What the statement is or has. */
  readonly what: string
  readonly why: string
  /** What to do about it. */
  readonly instead: string
}

export type Refusals = Readonly<Record<string, Refusal>>
