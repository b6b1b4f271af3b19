import type { Column } from '../../catalog.ts'
import { castType } from '../cast-type.ts'
import { quoteName } from '../text-scan.ts'
import { type Outside, PLACE_PARTS, type PlacePart, placeName } from './gather-plan.ts'
import type { TableItem } from './inputs.ts'
import { sourceOf } from './plan-gather.ts'
import { transportOf } from './transport.ts'

/** Where rows are, so that they are found again, and are the same ones: in a place that was left another row may be. */

const TYPES: Readonly<Record<PlacePart, readonly [type: string, typeOid: number]>> = {
  tableoid: ['oid', 26],
  ctid: ['tid', 27],
  xmin: ['bigint', 20],
  shard: ['integer', 23],
}

function column(part: PlacePart, item: number): Column {
  const [type, typeOid] = TYPES[part]
  return { name: placeName(part, item), type, typeOid, notNull: true, usesSequence: false, generated: false }
}

export const placeColumns = (n: number): readonly Column[] => PLACE_PARTS.map((part) => column(part, n))

/** An item with the places of its rows; `n`: no other item's. */
export function withPlaces(item: TableItem, n: number): TableItem {
  return { ...item, columns: [...item.columns, ...placeColumns(n)] }
}

/** Of a FROM item that was given places: the columns that tell them, in the order in which they are read. */
export function placesOf(n: number): string[] {
  return PLACE_PARTS.map((part) => placeName(part, n))
}

/** It is no view, and no foreign table. */
export function hasPlaces({ relation, range, place }: TableItem, outside: Outside | undefined): boolean {
  if (range.relname === undefined || relation.kind === 'view') return false
  if (place !== 'home') return true
  const told = [...(outside?.values() ?? [])].find(
    ({ schema, name }) => schema === relation.schema && name === relation.name,
  )
  return told?.isTable === true
}

/** Gives those of the places $1 oid[], $2 tid[] and $3 int8[] that have the row which was found there. */
export function lookOf(item: TableItem): string {
  const alias = quoteName(item.alias)
  return `SELECT ${alias}.tableoid, ${alias}.ctid, ${xminOf(alias)} FROM ${sourceOf(item)} WHERE ${isAt(item, 1)}`
}

/** The first condition lets Postgres find them directly; partitions have rows at the same places, so the second counts. */
export function isAt({ alias }: TableItem, param: number): string {
  const name = quoteName(alias)
  const [oids, tids, xmins] = ['oid[]', 'tid[]', 'int8[]'].map((type, i) => `CAST($${param + i} AS ${type})`)
  const places = [oids, tids, xmins].map((array) => `pg_catalog.unnest(${array})`).join(', ')
  const row = `ROW(${name}.tableoid, ${name}.ctid, ${xminOf(name)})`
  return `${name}.ctid = ANY (${tids}) AND ${row} IN (SELECT * FROM ROWS FROM (${places}))`
}

/** Columns that tell the rows of a reference table, which lie at other places on each copy; it has a primary key. */
export function keyColumns({ relation }: TableItem): readonly Column[] {
  return (relation.primaryKey ?? []).map((key) => relation.columns.find(({ name }) => name === key)!)
}

/** By keys that come as arrays. */
export function isKeyed(item: TableItem, param: number): string {
  const columns = keyColumns(item)
  const names = columns.map(({ name }) => `${quoteName(item.alias)}.${quoteName(name)}`)
  const arrays = columns.map(
    (one, i) => `pg_catalog.unnest(CAST($${param + i} AS ${transportOf(one).arrayType}))`,
  )
  const keys = columns.map(({ type, collation }, i) => {
    const value = `CAST(k.c${i} AS ${castType(type)})`
    return collation === undefined ? value : `${value} COLLATE ${collation}`
  })
  const from = `ROWS FROM (${arrays.join(', ')}) AS k (${columns.map((_, i) => `c${i}`).join(', ')})`
  return `(${names.join(', ')}) IN (SELECT ${keys.join(', ')} FROM ${from})`
}

/** Nothing else is made of its type. */
export const xminOf = (alias: string): string => `CAST(CAST(${alias}.xmin AS text) AS bigint)`

/**
 * The same for who locks and may have to wait: all of them or, where one has changed, none, in the order that comes after.
 * What changes while it waits it has locked all the same. So those who lock the same rows wait for each other one way only.
 */
export function wholeOf(item: TableItem): string {
  const all = `(SELECT pg_catalog.count(*) FROM (${lookOf(item)}) AS l) = pg_catalog.cardinality(CAST($1 AS oid[]))`
  return `${lookOf(item)} AND ${all}`
}

/** Of a row's key, which it keeps; without one, of its place. */
export function keyOrderOf({ alias, relation }: TableItem): string {
  const key = relation.primaryKey?.map((column) => `${quoteName(alias)}.${quoteName(column)}`) ?? []
  return ` ORDER BY ${key.length > 0 ? key.join(', ') : '1, 2'}`
}

/** In the order of the places that `lookOf` is asked for. */
export function orderOf({ alias }: TableItem): string {
  return ` ORDER BY pg_catalog.array_position(CAST($2 AS tid[]), ${quoteName(alias)}.ctid)`
}
