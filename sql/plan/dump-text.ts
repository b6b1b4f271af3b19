/**
 * What pg_dump reads of the catalogs, so that a dump holds what Weft knows of a table and nothing of Weft's own: it writes
 * storage parameters out as they come, and they are how Weft's tables are declared; and schemas named pg_… are not dumped,
 * nor what is in them. The texts are pg_dump's own (15 to 18); another text is nobody's business here.
 */
export function dumpText(text: string): string | undefined {
  const sql = text.trimStart()
  if (sql.startsWith('SELECT n.tableoid, n.oid, n.nspname,') && / FROM pg_namespace n\s*$/.test(sql)) {
    return sql.replace('n.nspname', "CASE n.nspname WHEN 'weft' THEN 'pg_weft' ELSE n.nspname END AS nspname")
  }
  if (!sql.startsWith('SELECT c.tableoid, c.oid, c.relname,')) return undefined
  const options = "array_remove(array_remove(c.reloptions,'check_option=local'),'check_option=cascaded')"
  return sql.includes(options) ? sql.replace(options, `weft.options_in_dump(c.oid, ${options})`) : undefined
}
