/** Aggregates that put values one after the other: a list of lists is the list of all. */
import type { Column } from '../../catalog.ts'
import { typeOfOid } from '../../hash/type-oids.ts'
import { as, type FuncCall, type Node, qualified, strings, walk } from '../../parse/ast.ts'
import { castName } from '../../tree/constants.ts'
import { typeOf } from '../expression-type.ts'
import { quoteText } from '../text-scan.ts'
import { ASKED } from './island.ts'
import { isPlainColumn, type LevelNames } from './level-names.ts'
import type { PartialForm } from './partials.ts'

const columnOfType = (type: string, typeOid: number): Column => ({
  name: '',
  ...{ type, typeOid, notNull: false, usesSequence: false, generated: false },
})
const TEXT = columnOfType('text', 25)
const JSONS = { json: columnOfType('json', 114), jsonb: columnOfType('jsonb', 3802) }

/** Undefined: lists of it cannot be told from each other, or are said otherwise than they would be as one. */
export function listForm(call: FuncCall, names: LevelNames): PartialForm | undefined {
  const form = FORMS[qualified(call.funcname).name]
  // What a sorted subquery gives comes in its order, which is nobody's promise, and everybody's habit.
  return form === undefined || isOfSorted(names) ? undefined : form(call, names)
}

const FORMS: Readonly<
  Record<string, ((call: FuncCall, names: LevelNames) => PartialForm | undefined) | undefined>
> = {
  string_agg: texts,
  array_agg: arrays,
  json_agg: (call, names) => (isJson(call.args![0]!, names) ? jsons(call, 'json') : undefined),
  jsonb_agg: (call, names) => (names.isPlainValue(call.args![0]) ? jsons(call, 'jsonb') : undefined),
}

function isOfSorted({ level }: LevelNames): boolean {
  let found = false
  walk(level.fromClause, (_, body) => {
    if ((body as { sortClause?: unknown }).sortClause !== undefined) found = true
  })
  return found
}

/** The delimiter is the same between all. */
function texts(call: FuncCall, names: LevelNames): PartialForm | undefined {
  const [argument, delimiter, ...more] = call.args ?? []
  const said = as(delimiter, 'A_Const')
  if (said === undefined || more.length > 0 || !names.isPlainValue(argument) || hasNames(argument, names))
    return undefined
  if (said.isnull !== true && said.sval === undefined) return undefined
  const between = quoteText(said.sval === undefined ? null : (said.sval.sval ?? ''))
  return {
    values: [{ node: called(call, 'string_agg'), column: isText(argument!, names) ? TEXT : ASKED }],
    combine: ([list]) => `pg_catalog.string_agg(${list!.ref}, ${between})`,
  }
}

const isText = (argument: Node, names: LevelNames): boolean =>
  ['text', 'varchar', 'bpchar'].includes(elementType(argument, names) ?? '')

/** Texts that are made of them have their collation. */
function hasNames(argument: Node | undefined, names: LevelNames): boolean {
  let found = false
  walk(argument, (kind, body) => {
    const ref = as({ [kind]: body } as unknown as Node, 'ColumnRef')
    const column = ref && names.resolve(ref)?.column
    if (ref !== undefined && (column === undefined || column.typeOid === NAME_OID)) found = true
    if (kind === 'TypeName' && strings((body as { names?: Node[] }).names).includes('name')) found = true
  })
  return found
}

const NAME_OID = 19

/** As JSON, which no setting says otherwise, and of whose texts the values are read again. */
function arrays(call: FuncCall, names: LevelNames): PartialForm | undefined {
  const type = elementType(call.args![0]!, names)
  if (type === undefined) return undefined
  return {
    values: [{ node: called(call, 'json_agg'), column: JSONS.json }],
    combine: ([list]) =>
      `(SELECT pg_catalog.array_agg(CAST(e AS pg_catalog.${type})) FROM ` +
      `pg_catalog.json_array_elements_text(${joined(list!.ref, 'json')}) AS e)`,
  }
}

function jsons(call: FuncCall, type: 'json' | 'jsonb'): PartialForm {
  return {
    values: [{ node: called(call, `${type}_agg`), column: JSONS[type] }],
    combine: ([list]) => joined(list!.ref, type),
  }
}

/** Without the brackets of each. */
function joined(list: string, type: 'json' | 'jsonb'): string {
  const text = `CAST(${list} AS pg_catalog.text)`
  const inner = `pg_catalog.substr(${text}, 2, pg_catalog.length(${text}) - 2)`
  return `CAST('[' || pg_catalog.string_agg(${inner}, ', ') || ']' AS pg_catalog.${type})`
}

function called(call: FuncCall, name: string): Node {
  return { FuncCall: { ...call, funcname: ['pg_catalog', name].map((sval) => ({ String: { sval } })) } }
}

/** `json_agg` puts rows and arrays on lines of their own. */
function isJson(argument: Node, names: LevelNames): boolean {
  if (!names.isPlainValue(argument)) return false
  const call = as(argument, 'FuncCall')
  if (call !== undefined) {
    const { schema, name } = qualified(call.funcname)
    return (schema === undefined || schema === 'pg_catalog') && JSON_CALLS.has(name)
  }
  const column = columnOf(argument, names)
  return elementType(argument, names) !== undefined || (column !== undefined && JSON_OIDS.has(column.typeOid))
}

const JSON_CALLS: ReadonlySet<string> = new Set(
  'json_build_object jsonb_build_object json_build_array jsonb_build_array to_json to_jsonb'.split(' '),
)
const JSON_OIDS: ReadonlySet<number> = new Set([114, 3802])

/** Of Postgres' own scalars those that JSON says whole, whatever the settings are. */
function elementType(argument: Node, names: LevelNames): string | undefined {
  const column = columnOf(argument, names)
  if (column !== undefined) return isPlainColumn(column) ? element(typeOfOid(column.typeOid)) : undefined
  if (!names.isPlainValue(argument)) return undefined
  const cast = as(argument, 'TypeCast')
  const written =
    cast?.typeName && !cast.typeName.arrayBounds && !cast.typeName.setof
      ? castName({ ...cast.typeName, typmods: [] }, false)
      : undefined
  return element(typeOf(argument, names.scope) ?? written)
}

function columnOf(argument: Node, names: LevelNames): Column | undefined {
  const ref = as(argument, 'ColumnRef')
  return ref && names.resolve(ref)?.column
}

const element = (type: string | undefined): string | undefined =>
  type !== undefined && ELEMENTS.has(type) ? type : undefined

const ELEMENTS: ReadonlySet<string> = new Set(
  'bool int2 int4 int8 numeric text varchar bpchar date timestamp timestamptz uuid'.split(' '),
)
