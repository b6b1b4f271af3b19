import { Deparser } from 'pgsql-deparser'
import { type FuncCall, type Node, strings, type TypeName } from '../parse/ast.ts'
import { jsonFunction, jsonTable, type Visit } from './sql-json.ts'
import { xmlTable } from './xml-table.ts'

type Context = Parameters<Deparser['A_Expr']>[1]

/**
 * Postgres' grammar leaves no trace of parentheses in its trees, and the printer puts them back by rules of precedence that
 * miss some: `(ARRAY[a, b])[1]`, `- (a IS NULL)`, `(a = b) LIKE c`. This one puts them around every operation that is an
 * operand, needed or not, writes CAST in full, and knows SQL/JSON's functions, JSON_TABLE and XMLTABLE, and the schema of
 * types, which the printer does not.
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
    const text = super.XmlExpr(...args)
    return args[0].op === 'IS_DOCUMENT' ? `(${text})` : text
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

const ANY_TYPE = 'weft_any_type'

/** Of some of Postgres' own types the printer leaves out where they are. */
function losesSchema({ names }: TypeName): string | undefined {
  const [schema, name, ...more] = strings(names)
  return schema === 'pg_catalog' && more.length === 0 && LOSES_SCHEMA.has(name!) ? name : undefined
}

const LOSES_SCHEMA: ReadonlySet<string> = new Set(
  'text date uuid jsonb bytea xml money inet cidr macaddr macaddr8 point box polygon'.split(' '),
)

const nameOf = (call: FuncCall): string | undefined => {
  const name = call.funcname?.at(-1) as { String?: { sval?: string } } | undefined
  return call.funcformat === 'COERCE_SQL_SYNTAX' ? name?.String?.sval : undefined
}

const isAtLocal = (call: FuncCall): boolean => nameOf(call) === 'timezone' && call.args?.length === 1

/** Functions that stand between or behind their operands: `AT TIME ZONE`, `OVERLAPS`, `IS NORMALIZED`. */
const INFIX: ReadonlySet<string | undefined> = new Set(['timezone', 'overlaps', 'is_normalized'])
const isInfix = (call: FuncCall): boolean => INFIX.has(nameOf(call))
