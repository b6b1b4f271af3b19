import { as, constantText, paramsOf, qualified, type SelectStmt } from '../parse/ast.ts'
import type { SettingPlan } from './plan.ts'
import { common } from './utility/plans.ts'

/** `SELECT set_config('name', value, is_local)` alone, with name and scope written as literals: a SET with a result. */
export function planSetConfig(select: SelectStmt): SettingPlan | undefined {
  const { fromClause, whereClause, withClause, targetList, op } = select
  if (
    fromClause ||
    whereClause ||
    withClause ||
    targetList?.length !== 1 ||
    (op ?? 'SETOP_NONE') !== 'SETOP_NONE'
  ) {
    return undefined
  }
  const target = as(targetList[0], 'ResTarget')
  if (target?.name !== undefined) return undefined
  const call = as(target?.val, 'FuncCall')
  const { schema, name } = qualified(call?.funcname)
  if (!call || name !== 'set_config' || (schema !== undefined && schema !== 'pg_catalog')) return undefined
  const [setting, value, local] = call.args ?? []
  const settingName = constantText(setting)
  const isLocal = constantText(local)
  const isPlain =
    value !== undefined && (constantText(value) !== undefined || as(value, 'ParamRef') !== undefined)
  if (
    typeof settingName !== 'string' ||
    settingName.toLowerCase() === 'seed' ||
    !isPlain ||
    !['true', 'false', 't', 'f'].includes(isLocal ?? '')
  ) {
    return undefined
  }
  return {
    ...common('SELECT', {
      returnsRows: true,
      paramCount: Math.max(0, ...paramsOf(call).keys()),
      generic: false,
    }),
    kind: 'setting',
    verb: isLocal === 'true' || isLocal === 't' ? 'set-local' : 'set',
    name: settingName.toLowerCase(),
    viaFunction: true,
  }
}
