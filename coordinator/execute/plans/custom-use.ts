import {
  ANY_NAME,
  bothUses,
  type CustomUse,
  customUseIn,
  isCustom,
  NO_CUSTOM_USE,
} from '../../../sql/code/custom-settings.ts'
import type { Plan, SettingPlan } from '../../../sql/plan/plan.ts'
import type { Execution, SessionState } from '../context.ts'

type Said = Pick<Execution, 'plan' | 'text' | 'bind' | 'keys'>

/** What a statement does with custom settings, its literals and parameters read. Undefined: nothing. */
export function customUseOf(exec: Said): CustomUse | undefined {
  const { plan, text } = exec
  if (plan.kind === 'setting') return ofSetting(plan)
  const { custom } = plan.effects
  if (custom?.inText !== true) return custom
  const { asks, sets } = customUseIn(plan.kind === 'ddl' ? withoutStrings(text) : text)
  return bothUses(custom, { asks: given(asks, exec), sets: given(sets, exec) })
}

function ofSetting({ name, assignments }: SettingPlan): CustomUse | undefined {
  const names = assignments?.map((assignment) => assignment.name) ?? (name === undefined ? [] : [name])
  const sets = names.filter(isCustom)
  return sets.length === 0 ? undefined : { ...NO_CUSTOM_USE, sets }
}

/** Bodies of functions are not run when they are made. */
function withoutStrings(text: string): string {
  return text.replace(/\$(\w*)\$[\s\S]*?\$\1\$|'(?:[^']|'')*'/g, ' ')
}

/** Names, those that parameters give read. */
function given(names: readonly string[], exec: Said): readonly string[] {
  if (!names.some((name) => name.startsWith('$'))) return names
  return names.flatMap((name) => (name.startsWith('$') ? parameterName(Number(name.slice(1)), exec) : [name]))
}

function parameterName(number: number, { bind, keys }: Said): readonly string[] {
  if (bind === undefined || number > bind.paramLengths.length) return [ANY_NAME]
  const name = keys.paramText(number) ?? ''
  return isCustom(name) ? [name.toLowerCase()] : []
}

/** Notes what the statement about to run does; a cursor's query runs when it is fetched from. */
export function noteCustomUse(state: SessionState, exec: Said & { readonly plan: Plan }): void {
  const { kind } = exec.plan
  const use = customUseOf(exec)
  if (kind === 'cursor') state.cursorsCustom = bothUses(state.cursorsCustom, use ?? NO_CUSTOM_USE)
  state.custom = kind === 'cursor' ? state.cursorsCustom : use
  if (kind === 'setting' || kind === 'ddl') return
  for (const name of state.custom?.sets ?? []) state.maySetNames.add(name)
}
