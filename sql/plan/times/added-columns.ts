/**
 * Finds what ALTER TABLE of a sharded or reference table has computed for the rows that are there: defaults of new columns,
 * and new types. Its time is one; a default is said as it was written once the rows have theirs. PURE.
 */
import type * as Pg from '@pgsql/types'
import type { Catalog, Relation } from '../../catalog.ts'
import { as, type Node } from '../../parse/ast.ts'
import type { ParsedStatement } from '../../parse/parse.ts'
import { printedExpression } from '../../print/printed.ts'
import { mayTellTime } from '../../tree/time-calls.ts'
import type { PlanContext } from '../plan.ts'
import { unsupported } from '../routing.ts'
import { nextToken, quoteName } from '../text-scan.ts'
import { callPlaces } from './call-places.ts'
import type { TextPlace } from './text-place.ts'

export function addedPlaces(stmt: ParsedStatement, catalog: Catalog, ctx: PlanContext): TextPlace[] {
  const alter = as(stmt.node, 'AlterTableStmt')
  if (alter === undefined || !mayTellTime(stmt.text)) return []
  const { schemaname, relname = '' } = alter.relation ?? {}
  const table = catalog.resolve(schemaname, relname, ctx.searchPath)
  if (table?.kind !== 'sharded' && table?.kind !== 'reference') return []
  const places: TextPlace[] = []
  const after: string[] = []
  for (const command of alter.cmds ?? []) {
    const { expression, column } = computedBy(as(command, 'AlterTableCmd'), table)
    const calls = callPlaces(expression, stmt.text, catalog)
    places.push(...calls)
    if (calls.length > 0 && column !== undefined) after.push(setDefault(column, expression!))
  }
  const end = endOf(stmt.text)
  return after.length === 0 ? places : [...places, { start: end, end, parts: [after.join('')] }]
}

interface Computed {
  readonly expression?: Node | undefined
  /** Set for a new column. */
  readonly column?: string | undefined
}

function computedBy(command: Pg.AlterTableCmd | undefined, table: Relation): Computed {
  const definition = as(command?.def, 'ColumnDef')
  if (command?.subtype === 'AT_AlterColumnType') return { expression: definition?.raw_default }
  if (command?.subtype !== 'AT_AddColumn' || definition === undefined) return {}
  const { colname: column = '', constraints = [] } = definition
  // IF NOT EXISTS: nothing is done.
  if (command.missing_ok === true && table.columns.some(({ name }) => name === column)) return {}
  const constraint = constraints.map((node) => as(node, 'Constraint'))
  return { expression: constraint.find((c) => c?.contype === 'CONSTR_DEFAULT')?.raw_expr, column }
}

function setDefault(column: string, val: Node): string {
  const text = printedExpression(val)
  if (text === undefined)
    throw unsupported('unstable_default', `this default of new column "${column}" is not supported`, LATER)
  return `, ALTER COLUMN ${quoteName(column)} SET DEFAULT ${text}`
}

const LATER = 'Add the column without it, UPDATE the rows, then SET DEFAULT.'

function endOf(text: string): number {
  let end = 0
  for (let token = nextToken(text, 0); token; token = nextToken(text, token.end)) end = token.end
  return end
}
