import { Phrases } from './random-phrases.ts'
import type { Random } from './random-queries.ts'
import { QueryWriter } from './random-select.ts'
import { WriteWriter } from './random-writes.ts'

/** Statements that read and write the tables of `randomTables`, made from a seed. */
export interface RandomStatement {
  readonly sql: string
  /** What it is made of, for the table of refusals. */
  readonly constructs: readonly string[]
  readonly ordered: boolean
  readonly params: readonly { readonly text: string | null; readonly type: string }[]
}

export function randomStatement(r: Random): RandomStatement {
  const phrases = new Phrases(r)
  const { sql, ordered } = written(r, phrases)
  return { sql, ordered, constructs: [...phrases.constructs], params: phrases.params }
}

function written(r: Random, phrases: Phrases): { readonly sql: string; readonly ordered: boolean } {
  const roll = r.below(100)
  if (roll < 62) return new QueryWriter(phrases).query()
  const writes = new WriteWriter(phrases)
  if (roll < 78) return { sql: writes.insert(), ordered: false }
  return { sql: roll < 90 ? writes.update() : writes.delete(), ordered: false }
}
