/** What the thread that plans long texts is asked, and answers. */
import { weftError } from '../../errors/catalog.ts'
import { PgError, type PgErrorFields } from '../../errors/pg-error.ts'
import type { NodeKind } from '../../sql/parse/ast.ts'
import { ParserError } from '../../sql/parse/parse.ts'
import type { InsertRow, KeyValue, Plan } from '../../sql/plan/plan.ts'
import type { CatalogParts } from '../catalog/catalog-value.ts'
import { RelationLocked } from '../catalog/locked-relations.ts'
import type { PlanScope } from '../execute/plans/planner.ts'

/** Where a statement is in its text. */
export interface StatementPlace {
  readonly kind: NodeKind
  readonly start: number
  readonly end: number
}

export type Request =
  | { readonly kind: 'split'; readonly text: string }
  | {
      readonly kind: 'plan'
      readonly text: string
      readonly paramTypes: readonly number[]
      readonly under: Omit<PlanScope, 'catalog' | 'cache'>
      /** Number of the catalog; `parts`: it is new there, and takes the place of those before it. */
      readonly catalog: number
      readonly parts: CatalogParts | undefined
    }

export type Answer =
  | { readonly kind: 'places'; readonly places: readonly StatementPlace[] }
  | { readonly kind: 'plan'; readonly plan: Plan; readonly apart: readonly Apart[] }
  | { readonly kind: 'error'; readonly error: SentError }

/** Threads hand over data: an error arrives without what makes it one of ours. */
export type SentError =
  | { readonly kind: 'pg'; readonly fields: PgErrorFields; readonly isParser: boolean }
  | { readonly kind: 'locked'; readonly relation: string; readonly lockedBy: number }
  | { readonly kind: 'other'; readonly message: string }

export function sentError(error: unknown): SentError {
  if (error instanceof PgError)
    return { kind: 'pg', fields: error.fields, isParser: error instanceof ParserError }
  if (error instanceof RelationLocked)
    return { kind: 'locked', relation: error.relation, lockedBy: error.lockedBy }
  // Planning walks the syntax tree by recursion.
  if (error instanceof RangeError) return sentError(weftError('statement_too_complex', {}, error))
  return { kind: 'other', message: error instanceof Error ? error.message : String(error) }
}

/** `text`: of the request. */
export function arrivedError(sent: SentError, text: string): Error {
  switch (sent.kind) {
    case 'pg':
      return sent.isParser ? new ParserError(sent.fields, text) : new PgError(sent.fields)
    case 'locked':
      return new RelationLocked(sent.relation, sent.lockedBy)
    case 'other':
      return new Error(sent.message)
  }
}

type Path = readonly (string | number)[]

/** What a plan holds that cannot be handed over, or only slowly, and where. */
export type Apart =
  | { readonly kind: 'error'; readonly path: Path; readonly fields: PgErrorFields }
  /** Values that are literals, by their numbers. */
  | { readonly kind: 'literals'; readonly path: Path; readonly indexes: Uint32Array }
  /** Rows of an INSERT whose keys are literals: start, end, number of each. */
  | { readonly kind: 'rows'; readonly path: Path; readonly places: Uint32Array }

/** So many objects take longer to hand over than to make. */
const MANY_VALUES = 256

/** A plan as it can be handed over; the rest goes beside it. */
export function sentPlan(plan: Plan): { readonly plan: Plan; readonly apart: readonly Apart[] } {
  const apart: Apart[] = []
  const copy = (value: unknown, path: Path): unknown => {
    if (typeof value !== 'object' || value === null) return value
    if (value instanceof PgError) {
      apart.push({ kind: 'error', path, fields: value.fields })
      return undefined
    }
    if (Array.isArray(value)) {
      const packed = value.length < MANY_VALUES ? undefined : packedList(value, path)
      if (packed === undefined) return value.map((item, i) => copy(item, [...path, i]))
      apart.push(packed)
      return undefined
    }
    if (Object.getPrototypeOf(value) !== Object.prototype) return value
    return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, copy(child, [...path, key])]))
  }
  return { plan: copy(plan, []) as Plan, apart }
}

function packedList(values: readonly (Partial<InsertRow> | undefined)[], path: Path): Apart | undefined {
  const indexes = values.map((value) => literalOf(value))
  if (!indexes.includes(undefined))
    return { kind: 'literals', path, indexes: Uint32Array.from(indexes as number[]) }
  const places = values.map(placesOf)
  if (places.includes(undefined)) return undefined
  return { kind: 'rows', path, places: Uint32Array.from((places as number[][]).flat()) }
}

/** Number of the literal that a value is, and nothing else. */
function literalOf(value: unknown): number | undefined {
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== 1) return undefined
  const { source } = value as Partial<KeyValue>
  return source?.kind === 'literal' && !source.negate ? source.index : undefined
}

function placesOf(row: Partial<InsertRow> | undefined): number[] | undefined {
  if (row?.start === undefined || row.end === undefined || row.defaults?.length !== 0) return undefined
  const index = row.begins === undefined ? literalOf(row.key) : undefined
  return index === undefined ? undefined : [row.start, row.end, index]
}

const literal = (index: number): KeyValue => ({ source: { kind: 'literal', index, negate: false } })

function rowsOf(places: Uint32Array): readonly InsertRow[] {
  const row = (_: unknown, i: number): InsertRow => {
    const [start, end, index] = places.subarray(i * 3, i * 3 + 3) as unknown as [number, number, number]
    return { start, end, key: literal(index), defaults: [] }
  }
  return Array.from({ length: places.length / 3 }, row)
}

export function arrivedPlan(plan: Plan, apart: readonly Apart[]): Plan {
  for (const each of apart) {
    let at = plan as unknown as Record<string | number, unknown>
    for (const key of each.path.slice(0, -1)) at = at[key] as Record<string | number, unknown>
    at[each.path.at(-1)!] = unpacked(each)
  }
  return plan
}

function unpacked(apart: Apart): unknown {
  switch (apart.kind) {
    case 'error':
      return new PgError(apart.fields)
    case 'literals':
      return Array.from(apart.indexes, literal)
    case 'rows':
      return rowsOf(apart.places)
  }
}
