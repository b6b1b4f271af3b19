/** SQL's constant of a text, whatever `standard_conforming_strings` says. */
export function stringConstant(text: string): string {
  return `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
}
