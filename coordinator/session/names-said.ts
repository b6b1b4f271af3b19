import { type Code, settingNamesIn } from '../../sql/code/code-graph.ts'
import { ANY_NAME, namesPutTogether, stringsIn } from '../../sql/code/custom-settings.ts'
import type { Execution } from '../execute/context.ts'

const CUSTOM_NAME = /^[\p{L}_][\p{L}\p{N}_$]*(\.[\p{L}_][\p{L}\p{N}_$]*)+$/u

/**
 * Names of custom settings in the statement's text and among its parameters. `maySet`: what it may set (`CustomUse`); names
 * that its code puts together are made of what the statement, or the code, says.
 */
export function namesSaid(
  { text, bind, keys }: Execution,
  maySet: ReadonlySet<string>,
  code: Code | undefined,
): readonly string[] {
  const values: string[] = []
  for (let n = 1; n <= (bind?.paramLengths.length ?? 0); n++) {
    const value = keys.paramText(n)
    if (value !== null) values.push(value)
  }
  const said = [...settingNamesIn(text), ...values.filter((value) => CUSTOM_NAME.test(value))]
  const names = said.map((name) => name.toLowerCase())
  if (![...maySet].some((name) => name.endsWith(ANY_NAME))) return names
  const texts = [text, ...(code?.piecesOf(text) ?? []).map((piece) => piece.text ?? '')]
  return [...names, ...namesPutTogether(maySet, [...values, ...texts.flatMap(stringsIn)])]
}
