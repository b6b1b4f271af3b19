/**
 * A column's type (`Column.type`) as a cast takes it that is to leave lengths alone: there `character` and `bit` by
 * themselves mean a length of one.
 */
export function castType(type: string): string {
  return type.replace(/^character(?=$|\[)/, 'bpchar').replace(/^bit(?=$|\[)/, 'pg_catalog."bit"')
}
