import type { Catalog } from '../sql/catalog.ts'
import { relationsOf } from '../sql/parse/ast.ts'
import { type ParsedStatement, parseStatements } from '../sql/parse/parse.ts'
import { planOf } from '../sql/workload/explained.ts'
import { type Routed, routedPlan } from '../sql/workload/routed.ts'
import { catalogOf, LOCAL, type Placements } from './placements.ts'
import type { Schema } from './schema.ts'
import type { Asked } from './workload.ts'

/** A statement that is about tables of the schema. */
export interface Statement extends Asked {
  readonly kind: ParsedStatement['kind']
  /** Numbers of the tables that it reads or writes, also by views; of partitions, the whole. */
  readonly tables: readonly number[]
  /** The table that it writes to. */
  readonly target: number | undefined
}

/** How statements would be run, for one placement of the tables after the other: what does not change is asked once. */
export class Routes {
  readonly statements: readonly Statement[]
  private readonly schema: Schema
  private readonly known = new Map<string, Routed>()

  constructor(schema: Schema, asked: readonly Asked[]) {
    this.schema = schema
    this.statements = asked.map((one) => statementOf(schema, one)).filter(({ tables }) => tables.length > 0)
  }

  /** Of each statement, in order. */
  of(placements: Placements): readonly Routed[] {
    let catalog: Catalog | undefined
    return this.statements.map((statement, i) => {
      const key = `${i} ${statement.tables.map((oid) => said(placements, oid)).join(' ')}`
      const known = this.known.get(key)
      if (known !== undefined) return known
      catalog ??= catalogOf(this.schema, placements)
      const routed = routedPlan(this.plan(statement, catalog))
      this.known.set(key, routed)
      return routed
    })
  }

  private plan({ text }: Statement, catalog: Catalog) {
    const context = { searchPath: this.schema.searchPath, tempTables: new Set<string>() }
    return planOf(parseStatements(text)[0]!, catalog, context)
  }
}

function said(placements: Placements, oid: number): string {
  const placement = placements.get(oid) ?? LOCAL
  return placement.kind === 'sharded' ? `s:${placement.column}` : placement.kind
}

function statementOf(schema: Schema, asked: Asked): Statement {
  const { kind, node } = parseStatements(asked.text)[0]!
  const body = Object.values(node)[0] as {
    readonly relation?: { readonly schemaname?: string; readonly relname?: string }
  }
  const target =
    kind === 'SelectStmt' ? undefined : resolved(schema, body.relation?.schemaname, body.relation?.relname)
  return { ...asked, kind, tables: [...tablesIn(schema, node, 0)].sort((a, b) => a - b), target: target?.oid }
}

const VIEW_DEPTH_MAX = 50

function tablesIn(schema: Schema, node: unknown, depth: number): Set<number> {
  const found = new Set<number>()
  for (const { schemaname, relname } of relationsOf(node)) {
    const table = resolved(schema, schemaname, relname)
    if (table !== undefined) found.add(table.oid)
    const view = schema.views.find((one) => one.name === relname && isMeant(schema, one.schema, schemaname))
    if (view === undefined || depth === VIEW_DEPTH_MAX) continue
    const inner = parseStatements(view.definition).map((one) => one.node)
    for (const oid of tablesIn(schema, inner, depth + 1)) found.add(oid)
  }
  return found
}

const isMeant = ({ searchPath }: Schema, schema: string, written: string | undefined): boolean =>
  written === undefined ? searchPath.includes(schema) : written === schema

/** The table that is declared: of a partition, the whole. */
function resolved(schema: Schema, schemaname: string | undefined, relname: string | undefined) {
  const paths = schemaname === undefined ? schema.searchPath : [schemaname]
  for (const path of paths) {
    const found = schema.tables.find((one) => one.schema === path && one.name === relname)
    if (found !== undefined)
      return schema.tables.find(({ oid }) => oid === (found.under ?? found.oid)) ?? found
  }
  return undefined
}
