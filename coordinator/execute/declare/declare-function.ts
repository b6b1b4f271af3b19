import { PgError } from '../../../errors/pg-error.ts'
import { commandComplete, dataRow } from '../../../protocol/wire/backend-messages.ts'
import { OUTCOME } from '../../../sql/plan/declare-function.ts'
import type { Declaration, DeclarePlan } from '../../../sql/plan/plan.ts'
import type { ExecContext, Execution } from '../context.ts'
import { textColumn, voidColumn } from '../settings/setting.ts'
import { declare } from './ddl.ts'
import { keyFunction, unkeyFunction } from './key-function.ts'

/** `SELECT create_distributed_table(…)` and its kin. */
export async function runDeclareFunction(
  ctx: ExecContext,
  exec: Execution,
  plan: DeclarePlan,
): Promise<void> {
  const args = argumentsOf(exec, plan)
  const { argument, required } = args
  let value: string | null = ''
  if (plan.function === OUTCOME) {
    const id = argument('transaction_id')
    value = id === undefined ? null : await ctx.node.outcomes.ask(id)
  } else if (plan.function === 'create_distributed_function')
    await keyFunction(ctx, {
      name: required('function_name'),
      argument: argument('distribution_arg_name'),
      colocateWith: argument('colocate_with'),
    })
  else if (plan.function === 'undistribute_function') await unkeyFunction(ctx, required('function_name'))
  else await declare(ctx, declarationOf(plan, args), true)
  if (exec.wantsRowDescription) ctx.out.push(declareRowDescription(plan))
  ctx.out.push(dataRow([value]))
  ctx.out.hold(commandComplete('SELECT 1'))
}

/** Its one column, of type void but for what is asked. */
export function declareRowDescription(plan: DeclarePlan): Buffer {
  if (plan.function === OUTCOME) return textColumn(OUTCOME)
  return voidColumn(plan.function)
}

function argumentsOf(exec: Execution, plan: DeclarePlan) {
  const argument = (name: string): string | undefined => {
    const arg = plan.args[name]
    if (arg === undefined) return undefined
    const value = arg.kind === 'text' ? arg.value : exec.keys.paramText(arg.number)
    return value ?? undefined
  }
  const required = (name: string): string => {
    const value = argument(name)
    if (value !== undefined) return value
    throw new PgError({
      code: '22023',
      message: `${plan.function}: argument "${name}" must be given and not be null`,
    })
  }
  return { argument, required }
}

function declarationOf(
  plan: DeclarePlan,
  { argument, required }: ReturnType<typeof argumentsOf>,
): Declaration {
  const { schema, table } = splitName(required('table_name'))
  const named = schema === undefined ? { table } : { schema, table }
  switch (plan.function) {
    case 'create_reference_table':
      return { kind: 'reference', ...named }
    case 'undistribute_table':
      return { kind: 'undistribute', ...named }
    default: {
      const colocateWith = argument('colocate_with')
      const keyColumn = required('distribution_column')
      if (colocateWith === undefined || colocateWith === 'default')
        return { kind: 'sharded', ...named, keyColumn }
      return { kind: 'sharded', ...named, keyColumn, colocateWith }
    }
  }
}

/** A `regclass` text: `t`, `s.t`, `"S"."T"`; unquoted parts fold to lower case. */
export function splitName(text: string): { schema: string | undefined; table: string } {
  const parts: string[] = []
  const pattern = /\s*(?:"((?:[^"]|"")*)"|([^".\s]+))\s*(\.|$)/y
  for (;;) {
    const match = pattern.exec(text)
    if (match === null) throw new PgError({ code: '42602', message: 'invalid name syntax' })
    parts.push(match[1]?.replaceAll('""', '"') ?? match[2]!.toLowerCase())
    if (match[3] === '') break
  }
  if (parts.length > 2) throw new PgError({ code: '42601', message: `improper relation name: ${text}` })
  return parts.length === 2 ? { schema: parts[0], table: parts[1]! } : { schema: undefined, table: parts[0]! }
}
