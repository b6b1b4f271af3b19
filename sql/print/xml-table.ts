import type { RangeTableFunc, RangeTableFuncCol, ResTarget } from '@pgsql/types'
import { QuoteUtils } from 'pgsql-deparser'
import type { Node } from '../parse/ast.ts'
import { type Visit, words } from './sql-json.ts'

/** XMLTABLE as an item of FROM. */
export function xmlTable(node: RangeTableFunc, visit: Visit): string {
  const columns = (node.columns as { RangeTableFuncCol: RangeTableFuncCol }[]).map((c) =>
    column(c.RangeTableFuncCol, visit),
  )
  const rows = `(${visit(node.rowexpr as Node)}) PASSING (${visit(node.docexpr as Node)})`
  const table = `XMLTABLE(${namespaces(node, visit)}${rows} COLUMNS ${columns.join(', ')})`
  return words(node.lateral && 'LATERAL', table, node.alias && visit({ Alias: node.alias } as Node))
}

function namespaces(node: RangeTableFunc, visit: Visit): string {
  if (node.namespaces === undefined) return ''
  const texts = (node.namespaces as { ResTarget: ResTarget }[]).map(({ ResTarget: { name, val } }) => {
    const uri = visit(val as Node)
    return name === undefined ? `DEFAULT ${uri}` : `${uri} AS ${QuoteUtils.quoteIdentifier(name)}`
  })
  return `XMLNAMESPACES(${texts.join(', ')}), `
}

function column(node: RangeTableFuncCol, visit: Visit): string {
  const name = QuoteUtils.quoteIdentifier(node.colname!)
  if (node.for_ordinality) return `${name} FOR ORDINALITY`
  return words(
    name,
    visit({ TypeName: node.typeName } as Node),
    node.colexpr && `PATH ${visit(node.colexpr as Node)}`,
    node.coldefexpr && `DEFAULT ${visit(node.coldefexpr as Node)}`,
    node.is_not_null && 'NOT NULL',
  )
}
