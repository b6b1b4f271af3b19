import { code } from './code.ts'
import { definitions } from './definitions.ts'
import { reads } from './reads.ts'
import type { Refusals } from './refusal.ts'
import { statements } from './statements.ts'
import { writes } from './writes.ts'

/** All that Weft refuses with 0A000, by id: nothing else does. docs/sql.md has the same list, made from this one. */
export const refusals = { ...reads, ...writes, ...definitions, ...code, ...statements }

/** The same by what they are about, as docs/sql.md has them. */
export const refusalsBySubject = {
  'Queries over several shards': reads,
  'INSERT, UPDATE, DELETE, MERGE': writes,
  'Tables and what belongs to them': definitions,
  'Functions and triggers': code,
  'Other statements, and the protocol': statements,
} as const satisfies Readonly<Record<string, Refusals>>

export type RefusalId = keyof typeof refusals

/** What an error says of a statement that was refused. */
export interface Refused {
  readonly id: RefusalId
  readonly what: string
  readonly hint?: string | undefined
}

/** The DETAIL of each error. */
export const refusalDetail = (id: string): string => `Refusal ${id}, see docs/sql.md.`

const REFUSAL = /^Refusal ([a-z_0-9]+), see docs\/sql\.md\./

/** The id in an error's DETAIL; undefined: it is no refusal. */
export const refusalIn = (detail: string | undefined): string | undefined =>
  detail === undefined ? undefined : REFUSAL.exec(detail)?.[1]

export const isRefusalId = (id: string): id is RefusalId => id in refusals
