import { evenSlots, slotTable } from '../cluster/slots.ts'
import { makeCatalog } from '../coordinator/catalog/catalog-value.ts'
import { defaultColocation } from '../coordinator/execute/declare/declare-checks.ts'
import type { Catalog, Relation } from '../sql/catalog.ts'
import type { ForeignKey, Schema, TableFacts, Unique } from './schema.ts'

/** How a table would be kept. */
export type Placement =
  | { readonly kind: 'sharded'; readonly column: string }
  | { readonly kind: 'reference' }
  | { readonly kind: 'local' }

/** Of every table that can be declared, by its number. */
export type Placements = ReadonlyMap<number, Placement>

export const LOCAL: Placement = { kind: 'local' }
export const REFERENCE: Placement = { kind: 'reference' }
export const shardedBy = (column: string): Placement => ({ kind: 'sharded', column })

export const isSamePlacement = (a: Placement, b: Placement): boolean =>
  a.kind === b.kind && (a.kind !== 'sharded' || (b.kind === 'sharded' && a.column === b.column))

/** Routes do not depend on how many there are, as long as it is not one. */
const SHARDS = 3
const SLOTS = slotTable(evenSlots(SHARDS).map(({ from, to, shard }) => ({ from, to, shard })))

/** The catalog that a coordinator would have if the tables were declared so. */
export function catalogOf(schema: Schema, placements: Placements): Catalog {
  const placed = (one: TableFacts): Placement => placements.get(one.under ?? one.oid) ?? LOCAL
  const views: Relation[] = schema.views.map((view) => ({ ...view, kind: 'view', columns: [] }))
  return makeCatalog({
    version: 1,
    shardCount: SHARDS,
    slots: SLOTS,
    relations: [...schema.tables.map((one) => relationOf(schema, one, placed)), ...views],
    systemNames: schema.systemNames,
    equalitySchemas: schema.equalitySchemas,
    unlikeFunctions: schema.unlikeFunctions,
    functionBodies: schema.functionBodies,
  })
}

function relationOf(schema: Schema, one: TableFacts, placed: (one: TableFacts) => Placement): Relation {
  const placement = placed(one)
  const { oid, name, columns, under, isPartitioned } = one
  const primary = one.uniques.find(({ isPrimary }) => isPrimary)
  const base = { oid, schema: one.schema, name, columns }
  if (placement.kind === 'local') return { ...base, kind: 'local' }
  const common = {
    ...base,
    ...(primary === undefined ? {} : { primaryKey: primary.columns }),
    ...(under === undefined && !isPartitioned ? {} : { root: under ?? oid }),
    ...(isPartitioned ? { isPartitioned: true as const } : {}),
  }
  if (placement.kind === 'reference') {
    const child = schema.foreignKeys.find(
      ({ from, to }) => to === oid && kindOf(schema, from, placed) === 'sharded',
    )
    const by = child && schema.tables.find((other) => other.oid === child.from)?.name
    return { ...common, kind: 'reference', ...(by === undefined ? {} : { referredBy: by }) }
  }
  const index = columns.findIndex((column) => column.name === placement.column)
  const type = one.keyTypes.get(placement.column)!
  const typmod = columns[index]!.typmod
  const key = { column: placement.column, index, type, ...(typmod >= 0 ? { typmod } : {}) }
  return { ...common, kind: 'sharded', key, colocation: defaultColocation(type) }
}

function kindOf(schema: Schema, oid: number, placed: (one: TableFacts) => Placement): Placement['kind'] {
  const table = schema.tables.find((one) => one.oid === oid)
  return table === undefined ? 'local' : placed(table).kind
}

/** What a declaration would be refused for, as long as the schema is as it is. */
export interface Obstacle {
  readonly table: number
  readonly what: string
  readonly todo: string
}

export function obstaclesOf(schema: Schema, placements: Placements): Obstacle[] {
  const byOid = new Map(schema.tables.map((one) => [one.oid, one]))
  const uniques = schema.tables.flatMap((one) => {
    const placement = placements.get(one.oid)
    if (placement?.kind !== 'sharded') return []
    return one.uniques
      .filter(({ columns }) => !columns.includes(placement.column))
      .map((unique) => uniqueObstacle(one, unique, placement.column))
  })
  const keys = schema.foreignKeys.flatMap((key) => {
    const [from, to] = [byOid.get(key.from), byOid.get(key.to)]
    if (from === undefined || to === undefined || isCheckable(key, placements, from, to)) return []
    return [foreignKeyObstacle(key, placements, from, to)]
  })
  return [...uniques, ...keys]
}

function uniqueObstacle(table: TableFacts, unique: Unique, column: string): Obstacle {
  const kind = unique.isPrimary ? 'primary key' : 'unique index'
  const wider = [column, ...unique.columns].map(quoted).join(', ')
  return {
    table: table.oid,
    what: `${kind} "${unique.name}" does not contain ${column}: each shard would check its own rows only`,
    todo: unique.isPrimary
      ? `If ids are unique within a ${column}: ALTER TABLE ${written(table)} DROP CONSTRAINT ${quoted(unique.name)}, ADD PRIMARY KEY (${wider}).`
      : `Make it one on (${wider}), if that is what is meant; or keep a table of these values, sharded by them.`,
  }
}

/** Inside each shard: `checkForeignKeys` says the same of tables that are being declared. */
function isCheckable(key: ForeignKey, placements: Placements, from: TableFacts, to: TableFacts): boolean {
  const [a, b] = [from, to].map((one) => placements.get(one.under ?? one.oid) ?? LOCAL) as [
    Placement,
    Placement,
  ]
  if (b.kind === 'reference' || (a.kind === 'local' && b.kind === 'local')) return true
  if (a.kind !== 'sharded' || b.kind !== 'sharded') return false
  const types = [from.keyTypes.get(a.column)!, to.keyTypes.get(b.column)!].map(defaultColocation)
  return (
    types[0] === types[1] &&
    key.fromColumns.some((column, i) => column === a.column && key.toColumns[i] === b.column)
  )
}

function foreignKeyObstacle(
  { name }: ForeignKey,
  placements: Placements,
  from: TableFacts,
  to: TableFacts,
): Obstacle {
  const [a, b] = [from, to].map((one) => placements.get(one.under ?? one.oid) ?? LOCAL) as [
    Placement,
    Placement,
  ]
  const both = a.kind === 'sharded' && b.kind === 'sharded'
  return {
    table: from.oid,
    what: `foreign key "${name}" to ${written(to)} could not be checked inside a shard`,
    todo: both
      ? `Have it contain the shard keys: (${a.column}, …) REFERENCES ${written(to)} (${b.column}, …); or ALTER TABLE ${written(from)} DROP CONSTRAINT ${quoted(name)}.`
      : `ALTER TABLE ${written(from)} DROP CONSTRAINT ${quoted(name)}.`,
  }
}

const PLAIN = /^[a-z_][a-z0-9_$]*$/
export const quoted = (name: string): string => (PLAIN.test(name) ? name : `"${name.replaceAll('"', '""')}"`)

export const written = ({ schema, name }: Pick<TableFacts, 'schema' | 'name'>): string =>
  schema === 'public' ? quoted(name) : `${quoted(schema)}.${quoted(name)}`

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** What is typed in, in an order in which each declaration finds what it needs: tables that others refer to come first. */
export function declarations(schema: Schema, placements: Placements): string[] {
  const sharded: TableFacts[] = []
  const first = new Map<number, TableFacts>()
  const reference = schema.tables.filter(({ oid }) => placements.get(oid)?.kind === 'reference')
  for (const one of inOrder(schema)) {
    if (placements.get(one.oid)?.kind === 'sharded') sharded.push(one)
  }
  const lines = inOrder(schema)
    .filter((one) => reference.includes(one))
    .map((one) => `SELECT create_reference_table(${literal(written(one))});`)
  for (const one of sharded) {
    const { column } = placements.get(one.oid) as Extract<Placement, { kind: 'sharded' }>
    const group = defaultColocation(one.keyTypes.get(column)!)
    const with_ = first.get(group)
    const beside = with_ === undefined ? '' : `, colocate_with => ${literal(written(with_))}`
    first.set(group, with_ ?? one)
    lines.push(`SELECT create_distributed_table(${literal(written(one))}, ${literal(column)}${beside});`)
  }
  return lines
}

function inOrder({ tables, foreignKeys }: Schema): TableFacts[] {
  const done = new Set<number>()
  const order: TableFacts[] = []
  const visit = (one: TableFacts): void => {
    if (done.has(one.oid)) return
    done.add(one.oid)
    for (const { from, to } of foreignKeys) {
      const target = from === one.oid ? tables.find(({ oid }) => oid === to) : undefined
      if (target !== undefined) visit(target)
    }
    order.push(one)
  }
  for (const one of tables) visit(one)
  return order
}
