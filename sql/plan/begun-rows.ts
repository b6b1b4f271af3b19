/**
 * Where a row of INSERT … VALUES can tell that its statement has begun: one of its values becomes
 * `CASE WHEN (SELECT weft.begun()) THEN (value) END`, which is of the value's own type. What has no type yet (`'1'`, NULL,
 * `$1`) would become text in a CASE, so it is cast to the column's; for such values a cast is what an assignment is.
 */
import type { Column } from '../catalog.ts'
import { as, kindOf, type Node } from '../parse/ast.ts'
import { castType } from './cast-type.ts'
import type { InsertRow } from './plan.ts'

export interface RowValue {
  readonly node: Node
  readonly start: number
  readonly end: number
  readonly column: Column | undefined
  /** A literal takes its place. */
  readonly isSpliced: boolean
}

export function rowBegins(
  values: readonly RowValue[],
  paramTypes: readonly number[],
): Pick<InsertRow, 'begins'> {
  const fit = values.filter(({ node }) => isFit(node))
  const typed = fit.find((value) => !value.isSpliced && hasType(value.node, paramTypes))
  if (typed) return { begins: { start: typed.start, end: typed.end } }
  for (const { start, end, column } of fit) {
    // How the text of an interval is read depends on the column's modifier.
    if (column === undefined || column.type.startsWith('interval')) continue
    return { begins: { start, end, castTo: castType(column.type) } }
  }
  return {}
}

/** DEFAULT stands by itself; a row, and a collated string, get their type from the column. */
const UNFIT: ReadonlySet<string> = new Set(['SetToDefault', 'RowExpr', 'CollateClause'])

export const isFit = (node: Node): boolean => !UNFIT.has(kindOf(node))

const UNKNOWN_OID = 705

/** Of its own, not from what it is assigned to. */
export function hasType(node: Node, paramTypes: readonly number[]): boolean {
  const constant = as(node, 'A_Const')
  if (constant) return constant.sval === undefined && constant.isnull !== true
  const param = as(node, 'ParamRef')
  const declared = param && (paramTypes[(param.number ?? 0) - 1] ?? 0)
  return declared === undefined || (declared !== 0 && declared !== UNKNOWN_OID)
}
