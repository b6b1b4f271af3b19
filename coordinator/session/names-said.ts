import { settingNamesIn } from '../../sql/code/code-graph.ts'
import type { Execution } from '../execute/context.ts'

const CUSTOM_NAME = /^[\p{L}_][\p{L}\p{N}_$]*(\.[\p{L}_][\p{L}\p{N}_$]*)+$/u

/** Names of custom settings in the statement's text and among its parameters. */
export function namesSaid({ text, bind, keys }: Execution): readonly string[] {
  const names = settingNamesIn(text)
  for (let n = 1; n <= (bind?.paramLengths.length ?? 0); n++) {
    const value = keys.paramText(n)
    if (value !== null && CUSTOM_NAME.test(value)) names.push(value.toLowerCase())
  }
  return names
}
