import type { Catalog } from '../catalog.ts'
import {
  as,
  constantText,
  functionsOf,
  type Node,
  paramsOf,
  qualified,
  type SelectStmt,
} from '../parse/ast.ts'
import type { ParsedStatement } from '../parse/parse.ts'
import type { DeclarePlan, Plan } from './plan.ts'
import { common, refuse } from './utility/plans.ts'

/** Of schema `weft`, and only there. */
export const OUTCOME = 'outcome'

/** Parameter names in order, for arguments given by position. */
const PARAMETERS: Readonly<Record<string, readonly string[]>> = {
  create_distributed_table: [
    'table_name',
    'distribution_column',
    'distribution_type',
    'colocate_with',
    'shard_count',
  ],
  create_reference_table: ['table_name'],
  create_distributed_function: [
    'function_name',
    'distribution_arg_name',
    'colocate_with',
    'force_delegation',
  ],
  undistribute_function: ['function_name'],
  undistribute_table: ['table_name', 'cascade_via_foreign_keys'],
  [OUTCOME]: ['transaction_id'],
}

/** Functions of Citus and of Weft that change the cluster; those that are not built get their answer from the executor. */
const OURS =
  /^(weft_|citus_|master_|run_command_on_|(create_distributed_|alter_distributed_|alter_table_|truncate_local_data_|update_distributed_|rebalance_|isolate_tenant_|mark_tables_|get_rebalance_))/

type Argument = DeclarePlan['args'][string]

function isOurs(
  node: { readonly schema: string | undefined; readonly name: string },
  catalog: Catalog,
): boolean {
  const { schema, name } = node
  if (name === OUTCOME) return schema === 'weft'
  if (schema !== undefined && schema !== 'pg_catalog' && schema !== 'weft' && schema !== 'public')
    return false
  return PARAMETERS[name] !== undefined || (OURS.test(name) && !catalog.isUserFunction(name))
}

/** `SELECT create_distributed_table(…)` and its kin: undefined when the statement calls none of them. */
export function planDeclareFunction(
  stmt: ParsedStatement,
  select: SelectStmt,
  catalog: Catalog,
): Plan | undefined {
  const call = functionsOf(stmt.node).find((f) => isOurs(qualified(f.funcname), catalog))
  if (!call) return undefined
  const { name } = qualified(call.funcname)
  const only = as(as(select.targetList?.[0], 'ResTarget')?.val, 'FuncCall')
  const { fromClause, whereClause, withClause } = select
  if (only !== call || select.targetList?.length !== 1 || fromClause || whereClause || withClause) {
    return refuse(
      'SELECT',
      'declare_call',
      `${name}() must be called alone`,
      `Write SELECT ${name}(…) as a statement of its own.`,
    )
  }
  const args = argumentsOf(name, call.args ?? [])
  if (typeof args === 'string') return refuse('SELECT', 'declare_call', args)
  return {
    ...common('SELECT', {
      access: name === OUTCOME ? 'read' : 'write',
      returnsRows: true,
      paramCount: Math.max(0, ...paramsOf(stmt.node).keys()),
      generic: false,
    }),
    kind: 'declare',
    function: name,
    args,
  }
}

function argumentsOf(name: string, nodes: readonly Node[]): Record<string, Argument> | string {
  const args: Record<string, Argument> = {}
  for (const [i, node] of nodes.entries()) {
    const named = as(node, 'NamedArgExpr')
    const parameter = named?.name ?? PARAMETERS[name]?.[i] ?? `arg${i + 1}`
    const value = argumentOf(named?.arg ?? node)
    if (!value) return `argument "${parameter}" of ${name}() must be a literal or a parameter`
    args[parameter] = value
  }
  return args
}

function argumentOf(node: Node): Argument | undefined {
  const param = as(node, 'ParamRef')
  if (param) return { kind: 'param', number: param.number ?? 0 }
  const cast = as(node, 'TypeCast')
  if (cast?.arg && as(cast.arg, 'ParamRef')) return argumentOf(cast.arg)
  const value = constantText(node)
  return value === undefined ? undefined : { kind: 'text', value }
}
