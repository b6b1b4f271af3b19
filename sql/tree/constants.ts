import type { Catalog } from '../catalog.ts'
import { type A_Const, type A_Expr, as, at, type Node, strings, type TypeName } from '../parse/ast.ts'
import type { PlanContext } from '../plan/plan.ts'
import { nextToken } from '../plan/text-scan.ts'
import type { Scope } from './block.ts'
import type { Constant } from './facts.ts'
import { ENUM_LABEL, NUMBER, typeOfParam, UNKNOWN } from './value-types.ts'

/** What tells the constants of a statement, and what its types and operators mean. */
export interface Constants {
  readonly text: string
  /** UTF-16 offset → number of the literal. */
  readonly byStart: ReadonlyMap<number, number>
  /** By its number, where it ends. */
  readonly ends: readonly number[]
  readonly catalog: Catalog
  readonly ctx: PlanContext
}

type InView = Pick<Scope, 'inView'>

/** A literal, a parameter or a keyword, perhaps negated and cast. */
export function constantOf(node: Node, scope: InView, constants: Constants): Constant | undefined {
  const param = as(node, 'ParamRef')
  if (param) {
    const number = param.number ?? 0
    const type = typeOfParam(constants.ctx.paramTypes[number - 1] ?? 0)
    return { value: { source: { kind: 'param', number } }, type }
  }
  const constant = as(node, 'A_Const')
  if (constant) return literalOf(constant, scope, constants)
  const cast = as(node, 'TypeCast')
  if (cast?.arg && cast.typeName) {
    const inner = constantOf(cast.arg, scope, constants)
    const label = inner && labelOf(inner, cast.typeName, false, constants)
    if (label !== undefined) return label
    const castTo = castName(cast.typeName, false, constants.ctx)
    return inner && castTo !== undefined ? castAs(inner, castTo) : undefined
  }
  return signed(as(node, 'A_Expr'), scope, constants)
}

const TEXTS: ReadonlySet<string | undefined> = new Set([undefined, 'text', 'varchar'])

/**
 * A text or parameter that is cast to an enum by whose values a table is sharded: what it equals has the same label. Of an
 * enum of that name in another schema Postgres says that the two cannot be compared.
 */
export function labelOf(
  { value }: Constant,
  type: TypeName,
  ofArray: boolean,
  { catalog }: Constants,
): Constant | undefined {
  const name = strings(type.names).at(-1) ?? ''
  if (!TEXTS.has(value.castTo) || !keyEnums(catalog).has(name)) return undefined
  if (type.setof || type.pct_type || (type.arrayBounds?.length ?? 0) !== (ofArray ? 1 : 0)) return undefined
  const { castTo: _, ...plain } = value
  return { value: plain, type: ENUM_LABEL }
}

const ENUMS = new WeakMap<Catalog, ReadonlySet<string>>()

/** Names of enums that are keys, without their schemas. */
function keyEnums(catalog: Catalog): ReadonlySet<string> {
  const known = ENUMS.get(catalog)
  if (known !== undefined) return known
  const names = catalog.distributed.flatMap(({ key, columns }) =>
    key?.type === 'enum' ? bareName(columns[key.index]?.type ?? '') : [],
  )
  const enums = new Set(names)
  ENUMS.set(catalog, enums)
  return enums
}

/** Of `other."My mood"` and the like, as `format_type` prints it. */
function bareName(type: string): string {
  const quoted = /"((?:[^"]|"")*)"$/.exec(type)?.[1]
  return quoted?.replaceAll('""', '"') ?? type.slice(type.lastIndexOf('.') + 1)
}

/** One cast only: each may change the value. */
export function castAs({ value }: Constant, castTo: string): Constant | undefined {
  if (value.castTo !== undefined) return undefined
  return { value: { ...value, castTo }, type: castTo }
}

/** `+5` and `-7::bigint`; the grammar itself folds the sign into `-5`. */
function signed(expr: A_Expr | undefined, scope: InView, constants: Constants): Constant | undefined {
  const sign = strings(expr?.name)
  if (expr?.kind !== 'AEXPR_OP' || expr.lexpr || !expr.rexpr || sign.length !== 1) return undefined
  const inner = constantOf(expr.rexpr, scope, constants)
  if (inner?.value.source.kind !== 'literal' || !isNumber(expr.rexpr)) return undefined
  if (sign[0] === '+') return inner
  const { source } = inner.value
  if (sign[0] !== '-' || source.negate) return undefined
  return { ...inner, value: { ...inner.value, source: { ...source, negate: true } } }
}

const SIGNED_CASTS: ReadonlySet<string> = new Set(['int2', 'int4', 'int8', 'numeric'])

function isNumber(node: Node): boolean {
  const cast = as(node, 'TypeCast')
  if (cast) {
    const name = strings(cast.typeName?.names).at(-1) ?? ''
    return SIGNED_CASTS.has(name) && cast.arg !== undefined && isNumber(cast.arg)
  }
  const constant = as(node, 'A_Const')
  return constant?.ival !== undefined || constant?.fval !== undefined
}

function literalOf(constant: A_Const, scope: InView, constants: Constants): Constant | undefined {
  if (constant.isnull) return { value: { source: { kind: 'constant', value: null } }, type: UNKNOWN }
  if (constant.boolval) {
    const value = constant.boolval.boolval ? 'true' : 'false'
    return { value: { source: { kind: 'constant', value } }, type: 'bool' }
  }
  if (scope.inView || constant.bsval) return undefined
  const { text, byStart, ends } = constants
  const start = at(constant)
  const sign = /^-[\s(]*/.exec(text.slice(start, start + 20))?.[0] ?? ''
  const index = byStart.get(start + sign.length)
  if (index === undefined) return undefined
  // What U&'…' says depends on the literal after UESCAPE, if there is one.
  if (constant.sval && nextToken(text, ends[index]!)?.word === 'UESCAPE') return undefined
  const source = { kind: 'literal', index, negate: sign !== '' } as const
  return { value: { source }, type: constant.sval ? UNKNOWN : NUMBER }
}

/** By what a type's name is looked up. */
type TypeNames = Pick<PlanContext, 'searchPath' | 'tempTables'>

/** `int8` for `bigint`, `pg_catalog.int8` and `int8`; undefined for arrays, modifiers and what is not built in. */
export function castName(type: TypeName, ofArray: boolean, names?: TypeNames): string | undefined {
  const parts = strings(type.names)
  if (type.setof || type.pct_type || (type.typmods?.length ?? 0) > 0) return undefined
  if ((type.arrayBounds?.length ?? 0) !== (ofArray ? 1 : 0)) return undefined
  if (parts.length === 2) return parts[0] === 'pg_catalog' ? parts[1] : undefined
  return parts.length === 1 && (!names || isBuiltIn(parts[0]!, names)) ? parts[0] : undefined
}

/** Temporary types and, where the path says so, those of other schemas come before Postgres' own. */
function isBuiltIn(name: string, { searchPath, tempTables }: TypeNames): boolean {
  return searchPath.indexOf('pg_catalog') <= 0 && !tempTables.has(name)
}
