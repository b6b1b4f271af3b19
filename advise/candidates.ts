import { PgError } from '../errors/pg-error.ts'
import { parseStatements } from '../sql/parse/parse.ts'
import { type Equalities, equalitiesOf, type TableColumn } from './equalities.ts'
import { catalogOf, type Placements, shardedBy } from './placements.ts'
import type { Statement } from './routes.ts'
import type { Schema, TableFacts } from './schema.ts'

/** Columns that are equal in joins and foreign keys, and how much of the workload says values for them. */
export interface Dimension {
  readonly columns: readonly (TableColumn & { readonly weight: number })[]
  readonly weight: number
}

const keyOf = ({ table, column }: TableColumn): string => `${table}.${column}`
const NOTHING: Equalities = { constants: [], joins: [] }

/** `weightOf`: the share of the workload that a statement is. The heaviest come first. */
export function dimensionsOf(
  schema: Schema,
  statements: readonly Statement[],
  weightOf: (statement: Statement) => number,
): Dimension[] {
  const everySharded = catalogOf(schema, allSharded(schema.tables))
  const weights = new Map<string, number>()
  const sets = new Sets()
  for (const statement of statements) {
    const { constants, joins } = equalities(statement.text, schema, everySharded)
    for (const key of new Set(constants.map(keyOf)))
      weights.set(key, (weights.get(key) ?? 0) + weightOf(statement))
    for (const [a, b] of joins) sets.join(keyOf(a), keyOf(b))
  }
  for (const { from, to, fromColumns, toColumns } of schema.foreignKeys) {
    for (const [i, column] of fromColumns.entries())
      sets.join(keyOf({ table: from, column }), keyOf({ table: to, column: toColumns[i]! }))
  }
  const groups = new Map<string, (TableColumn & { readonly weight: number })[]>()
  for (const table of schema.tables.filter(({ under }) => under === undefined)) {
    for (const column of table.keyTypes.keys()) {
      const one = { table: table.oid, column }
      const root = sets.rootOf(keyOf(one))
      const member = { ...one, weight: weights.get(keyOf(one)) ?? 0 }
      groups.set(root, [...(groups.get(root) ?? []), member])
    }
  }
  return [...groups.values()]
    .map((columns) => ({ columns, weight: columns.reduce((sum, { weight }) => sum + weight, 0) }))
    .filter(({ weight, columns }) => weight > 0 || columns.length > 1)
    .sort((a, b) => b.weight - a.weight)
}

function equalities(text: string, schema: Schema, catalog: ReturnType<typeof catalogOf>): Equalities {
  try {
    return equalitiesOf(parseStatements(text)[0]!, catalog, schema.searchPath)
  } catch (error) {
    // It cannot be told what it means; how it would be run is told all the same.
    if (error instanceof PgError) return NOTHING
    throw error
  }
}

function allSharded(tables: readonly TableFacts[]): Placements {
  return new Map(
    tables.flatMap(({ oid, keyTypes }) => {
      const [first] = keyTypes.keys()
      return first === undefined ? [] : [[oid, shardedBy(first)] as const]
    }),
  )
}

/** Which things are the same as which. */
class Sets {
  private readonly parents = new Map<string, string>()

  rootOf(one: string): string {
    let root = one
    for (let up = this.parents.get(root); up !== undefined; up = this.parents.get(root)) root = up
    return root
  }

  join(a: string, b: string): void {
    const [x, y] = [this.rootOf(a), this.rootOf(b)]
    if (x !== y) this.parents.set(x, y)
  }
}
