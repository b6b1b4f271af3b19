import type { DefElem, OnConflictClause, ResTarget } from '@pgsql/types'
import { Deparser, QuoteUtils } from 'pgsql-deparser'
import { as, type FuncCall, type Node, strings, type TypeName } from '../parse/ast.ts'
import { jsonFunction, jsonTable, type Visit, words } from './sql-json.ts'
import { xmlTable } from './xml-table.ts'

type Context = Parameters<Deparser['A_Expr']>[1]

/**
 * Postgres' grammar leaves no trace of parentheses in its trees, and the printer puts them back by rules of precedence that
 * miss some: `(ARRAY[a, b])[1]`, `- (a IS NULL)`, `(a = b) LIKE c`. This one puts them around every operation that is an
 * operand, needed or not, writes CAST in full, and knows what the printer does not: SQL/JSON's functions, JSON_TABLE,
 * XMLTABLE, the schema of types, unlogged tables of a query, and details of ON CONFLICT, cursors and XML.
 */
export class CarefulDeparser extends Deparser {
  override A_Indirection(...[node, context]: Parameters<Deparser['A_Indirection']>): string {
    // The name of an argument that is no name: what follows it is then written as after any value.
    const behind = super.A_Indirection({ ...node, arg: { ParamRef: { number: 1 } } }, context)
    return `(${this.visit(node.arg!, context)})${behind.slice('$1'.length)}`
  }

  override A_Expr(...args: Parameters<Deparser['A_Expr']>): string {
    return `(${super.A_Expr(...args)})`
  }

  override BoolExpr(...args: Parameters<Deparser['BoolExpr']>): string {
    return `(${super.BoolExpr(...args)})`
  }

  override NullTest(...args: Parameters<Deparser['NullTest']>): string {
    return `(${super.NullTest(...args)})`
  }

  override BooleanTest(...args: Parameters<Deparser['BooleanTest']>): string {
    return `(${super.BooleanTest(...args)})`
  }

  override CollateClause(...args: Parameters<Deparser['CollateClause']>): string {
    return `(${super.CollateClause(...args)})`
  }

  override SubLink(...args: Parameters<Deparser['SubLink']>): string {
    return `(${super.SubLink(...args)})`
  }

  override JsonIsPredicate(...args: Parameters<Deparser['JsonIsPredicate']>): string {
    return `(${super.JsonIsPredicate(...args)})`
  }

  override XmlExpr(...args: Parameters<Deparser['XmlExpr']>): string {
    const [{ op, args: values }] = args
    const text = super.XmlExpr(...args)
    if (op === 'IS_DOCUMENT') return `(${text})`
    const isPreserved = op === 'IS_XMLPARSE' && as(values?.[1] as Node, 'A_Const')?.boolval?.boolval === true
    return isPreserved ? text.replace(/\)$/, ' PRESERVE WHITESPACE)') : text
  }

  override FuncCall(...args: Parameters<Deparser['FuncCall']>): string {
    const [call, context] = args
    if (isAtLocal(call)) return `((${this.visit(call.args![0]!, context)}) AT LOCAL)`
    const text = super.FuncCall(...args)
    return isInfix(call) ? `(${text})` : text
  }

  override TypeCast(...[{ arg, typeName }, context]: Parameters<Deparser['TypeCast']>): string {
    return `CAST(${this.visit(arg!, context)} AS ${this.typeText(typeName!, context)})`
  }

  private typeText(type: TypeName, context: Context): string {
    const name = losesSchema(type)
    if (name === undefined) return this.TypeName(type, context)
    const spelt = { ...type, names: [{ String: { sval: ANY_TYPE } }] }
    return this.TypeName(spelt, context).replace(ANY_TYPE, `pg_catalog.${name}`)
  }

  override InsertStmt(...[node, context]: Parameters<Deparser['InsertStmt']>): string {
    const { onConflictClause: conflict, returningClause: returning, ...insert } = node
    return words(
      super.InsertStmt(insert, context),
      conflict && this.conflictClause(conflict, context),
      returning && super.ReturningClause(returning, context),
    )
  }

  private conflictClause(
    { infer, action, targetList, whereClause }: OnConflictClause,
    context: Context,
  ): string {
    const visit = this.visitor(context)
    const sets = (): string =>
      super.UpdateStmt({ relation: { relname: 't', inh: true }, ...(targetList && { targetList }) }, context)
    return words(
      'ON CONFLICT',
      infer?.conname !== undefined && `ON CONSTRAINT ${QuoteUtils.quoteIdentifier(infer.conname)}`,
      infer?.indexElems && `(${infer.indexElems.map((element) => visit(element as Node)).join(', ')})`,
      infer?.whereClause && `WHERE ${visit(infer.whereClause as Node)}`,
      action === 'ONCONFLICT_NOTHING' ? 'DO NOTHING' : `DO ${sets().replace(/^UPDATE\s+t\s+/, 'UPDATE ')}`,
      whereClause && `WHERE ${visit(whereClause as Node)}`,
    )
  }

  /** An INSERT into parts of columns. */
  override MergeWhenClause(...[node, context]: Parameters<Deparser['MergeWhenClause']>): string {
    const targets = node.commandType === 'CMD_INSERT' ? (node.targetList ?? []) : []
    const columns = targets.map((target) => this.insertedColumn(as(target as Node, 'ResTarget')!, context))
    if (columns.length === 0) return super.MergeWhenClause(node, context)
    const spelt = { ...node, targetList: [{ ResTarget: { name: ANY_COLUMNS } }] }
    return super.MergeWhenClause(spelt, context).replace(`(${ANY_COLUMNS})`, () => `(${columns.join(', ')})`)
  }

  private insertedColumn({ name, indirection = [] }: ResTarget, context: Context): string {
    const visit = this.visitor(context)
    const parts = indirection.map((part) => {
      const field = as(part as Node, 'String')?.sval
      return field === undefined ? visit(part as Node) : `.${QuoteUtils.quoteIdentifier(field)}`
    })
    return [QuoteUtils.quoteIdentifier(name!), ...parts].join('')
  }

  override CreateTableAsStmt(...[node, context]: Parameters<Deparser['CreateTableAsStmt']>): string {
    const text = super.CreateTableAsStmt(node, context)
    return node.into?.rel?.relpersistence === 'u' ? text.replace(/^CREATE /, 'CREATE UNLOGGED ') : text
  }

  /** An option of a table without a value: its name, which may have a part before it. */
  override DefElem(...args: Parameters<Deparser['DefElem']>): string {
    const { defnamespace, defname, arg } = args[0] as DefElem
    if (defnamespace === undefined || arg !== undefined) return super.DefElem(...args)
    return `${QuoteUtils.quoteIdentifier(defnamespace)}.${QuoteUtils.quoteIdentifier(defname!)}`
  }

  override DeclareCursorStmt(...[node, context]: Parameters<Deparser['DeclareCursorStmt']>): string {
    const text = super.DeclareCursorStmt(node, context)
    return ((node.options ?? 0) & ASENSITIVE) === 0 ? text : text.replace(' CURSOR ', ' ASENSITIVE CURSOR ')
  }

  override SortBy(...[node, context]: Parameters<Deparser['SortBy']>): string {
    const { useOp, ...rest } = node
    const [operator, ...schema] = useOp === undefined ? [] : strings(useOp as Node[]).toReversed()
    if (operator === undefined || schema.length === 0) return super.SortBy(node, context)
    const names = schema.toReversed().map((name) => QuoteUtils.quoteIdentifier(name))
    const nulls = super.SortBy({ ...rest, node: { A_Star: {} }, sortby_dir: 'SORTBY_DEFAULT' }, context)
    const by = `USING OPERATOR(${[...names, operator].join('.')})`
    return `${this.visit(node.node!, context)} ${by}${nulls.replace('*', '')}`
  }

  override XmlSerialize(...[node, context]: Parameters<Deparser['XmlSerialize']>): string {
    const text = super.XmlSerialize(node, context)
    return node.indent ? text.replace(/\)$/, 'INDENT )') : text
  }

  override RangeTableFunc(...[node, context]: Parameters<Deparser['RangeTableFunc']>): string {
    return xmlTable(node, this.visitor(context))
  }

  JsonFuncExpr(...[node, context]: [Parameters<typeof jsonFunction>[0], Context]): string {
    return jsonFunction(node, this.visitor(context))
  }

  JsonTable(...[node, context]: [Parameters<typeof jsonTable>[0], Context]): string {
    return jsonTable(node, this.visitor(context))
  }

  private visitor(context: Context): Visit {
    return (node: Node) => this.visit(node, context)
  }
}

const ANY_COLUMNS = 'weft_any_columns'
const ANY_TYPE = 'weft_any_type'

/** Of some of Postgres' own types the printer leaves out where they are. */
function losesSchema({ names }: TypeName): string | undefined {
  const [schema, name, ...more] = strings(names)
  return schema === 'pg_catalog' && more.length === 0 && LOSES_SCHEMA.has(name!) ? name : undefined
}

const LOSES_SCHEMA: ReadonlySet<string> = new Set(
  'text date uuid jsonb bytea xml money inet cidr macaddr macaddr8 point box polygon'.split(' '),
)
/** CURSOR_OPT_ASENSITIVE of Postgres. */
const ASENSITIVE = 0x10

const nameOf = (call: FuncCall): string | undefined => {
  const name = call.funcname?.at(-1) as { String?: { sval?: string } } | undefined
  return call.funcformat === 'COERCE_SQL_SYNTAX' ? name?.String?.sval : undefined
}

const isAtLocal = (call: FuncCall): boolean => nameOf(call) === 'timezone' && call.args?.length === 1

/** Functions that stand between or behind their operands: `AT TIME ZONE`, `OVERLAPS`, `IS NORMALIZED`. */
const INFIX: ReadonlySet<string | undefined> = new Set(['timezone', 'overlaps', 'is_normalized'])
const isInfix = (call: FuncCall): boolean => INFIX.has(nameOf(call))
