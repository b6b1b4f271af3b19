/** Statements for the other shards, wrapped in a DO block: one statement still, whatever it has to put up with. */

const MISSING = 'undefined_table OR undefined_object OR undefined_function OR undefined_column'

/** Runs the statement; what it is about may be missing. */
export function tolerant(sql: string): string {
  return doBlock(`BEGIN EXECUTE ${literal(sql)}; ` + `EXCEPTION WHEN ${MISSING} THEN NULL; END`)
}

/**
 * Creates a function as the home shard did, whose check it has passed: the body may name tables that this shard lacks. Made
 * of types or of a parsed body that it lacks it is not there, and whatever needs it here says so.
 */
export function whereItCanBe(sql: string): string {
  return unchecked(`BEGIN EXECUTE ${literal(sql)}; EXCEPTION WHEN ${MISSING} THEN NULL; END; `)
}

/** Creates a function without a look into its body. */
export function bodyUnchecked(sql: string): string {
  return unchecked(`EXECUTE ${literal(sql)}; `)
}

function unchecked(work: string): string {
  const set = (value: string) => `PERFORM pg_catalog.set_config('check_function_bodies', ${value}, true); `
  const was = "DECLARE was text := pg_catalog.current_setting('check_function_bodies'); "
  return doBlock(`${was}BEGIN ${set("'off'")}${work}${set('was')}END`)
}

/** Drops a sequence, unless a default of a sharded table names it. */
export function dropUnlessUsed(sequence: string): string {
  return doBlock(
    `BEGIN EXECUTE ${literal(`DROP SEQUENCE IF EXISTS ${sequence}`)}; ` +
      'EXCEPTION WHEN dependent_objects_still_exist THEN NULL; END',
  )
}

/** Puts the name of the shard's own database in the place of the range: shards' databases may differ in name. */
export function onOwnDatabase(sql: string, name: { readonly start: number; readonly end: number }): string {
  const before = sql.slice(0, name.start).replaceAll('%', '%%')
  const after = sql.slice(name.end).replaceAll('%', '%%')
  const format = literal(`${before}%I${after}`)
  return doBlock(`BEGIN EXECUTE pg_catalog.format(${format}, pg_catalog.current_database()); END`)
}

export function doBlock(body: string): string {
  let tag = '$weft$'
  for (let n = 1; body.includes(tag); n++) tag = `$weft${n}$`
  return `DO ${tag}${body}${tag}`
}

function literal(text: string): string {
  const quoted = text.replaceAll("'", "''")
  return quoted.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`
}
