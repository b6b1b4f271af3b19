/** Pieces of syntax trees out of texts of our own. */
import { as, type Node, type SelectStmt } from '../../parse/ast.ts'
import { parseStatements } from '../../parse/parse.ts'

export const selectNode = (sql: string): SelectStmt => as(parseStatements(sql)[0]!.node, 'SelectStmt')!

export const expressionNode = (sql: string): Node =>
  as(selectNode(`SELECT ${sql}`).targetList![0], 'ResTarget')!.val!
