import { as } from '../../parse/ast.ts'
import { parseStatements } from '../../parse/parse.ts'
import { pgError } from './plans.ts'
import { type Name, nameOf } from './scope.ts'

/** A relation name given as text, as `::regclass` would read it. */
export function splitName(text: string): Name {
  try {
    const [stmt, more] = parseStatements(`TABLE ${text}`)
    const select = as(stmt?.node, 'SelectStmt')
    const range = as(select?.fromClause?.[0], 'RangeVar')
    const plain = range?.relname !== undefined && range.alias === undefined && more === undefined
    if (plain && select?.sortClause === undefined) return nameOf(range)
  } catch {
    // No name either: the same error.
  }
  throw pgError('42602', `invalid name syntax: ${text}`)
}
