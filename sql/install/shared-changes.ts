/** What a transaction has written in the catalogs of a shard, temporary objects and members of extensions left out. */
import { isOurs, isWritten, privileges } from './shared-ddl.ts'

/** `carried`: what is listed by `sharedQueries`; `code`: what statements run without naming it. */
export type WrittenAs = 'carried' | 'relation' | 'code' | 'apart'

interface Part {
  readonly as: WrittenAs
  readonly what: string
  readonly name: string
  readonly catalog: string
  /** Its row in its own catalog, whose namespace, or being an extension's, counts; with `n` for the namespace. */
  readonly of?: string
  readonly from?: string
  readonly namespace?: string
  readonly where?: string
}

const part = (
  as: WrittenAs,
  what: string,
  catalog: string,
  name: string,
  rest: Partial<Part> = {},
): Part => ({
  as,
  what,
  catalog,
  name,
  ...rest,
})

const ofFamily = (column: string): Partial<Part> => ({
  of: 'pg_opfamily',
  from: `JOIN pg_catalog.pg_opfamily o ON o.oid = x.${column}`,
  namespace: 'o.opfnamespace',
})
const ofType = (column: string): Partial<Part> => ({
  of: 'pg_type',
  from: `JOIN pg_catalog.pg_type o ON o.oid = x.${column}`,
  namespace: 'o.typnamespace',
})
const ofRelation = (column: string, where: string): Partial<Part> => ({
  of: 'pg_class',
  from: `JOIN pg_catalog.pg_class o ON o.oid = x.${column}`,
  namespace: 'o.relnamespace',
  where,
})

const parts: readonly Part[] = [
  part('carried', 'schema', 'pg_namespace', 'x.nspname', { namespace: 'x.oid' }),
  part('carried', 'extension', 'pg_extension', 'x.extname'),
  part('carried', 'collation', 'pg_collation', 'x.collname', { namespace: 'x.collnamespace' }),
  part('carried', 'type', 'pg_type', 'x.typname', {
    namespace: 'x.typnamespace',
    where: `(x.typtype IN ('e', 'd', 'r') OR EXISTS (
      SELECT FROM pg_catalog.pg_class c WHERE c.oid = x.typrelid AND c.relkind = 'c'))`,
  }),
  part('carried', 'type', 'pg_enum', 'o.typname', ofType('enumtypid')),
  part('carried', 'domain', 'pg_constraint', 'o.typname', ofType('contypid')),
  part('carried', 'type', 'pg_attribute', 'o.relname', ofRelation('attrelid', "o.relkind = 'c'")),
  part('carried', 'function', 'pg_proc', 'x.proname', { namespace: 'x.pronamespace' }),
  part('relation', 'relation', 'pg_class', 'x.relname', {
    namespace: 'x.relnamespace',
    where: "x.relkind IN ('r', 'p', 'v', 'S')",
  }),
  part('relation', 'relation', 'pg_attribute', 'o.relname', ofRelation('attrelid', "o.relkind <> 'c'")),
  part('code', 'trigger', 'pg_trigger', 'x.tgname', ofRelation('tgrelid', 'NOT x.tgisinternal')),
  part('code', 'policy', 'pg_policy', 'x.polname', ofRelation('polrelid', 'true')),
  part('code', 'rule', 'pg_rewrite', 'x.rulename', ofRelation('ev_class', 'true')),
  part('apart', 'aggregate', 'pg_aggregate', 'o.proname', {
    of: 'pg_proc',
    from: 'JOIN pg_catalog.pg_proc o ON o.oid = x.aggfnoid',
    namespace: 'o.pronamespace',
  }),
  part('apart', 'operator', 'pg_operator', 'x.oprname', { namespace: 'x.oprnamespace' }),
  part('apart', 'operator class', 'pg_opclass', 'x.opcname', { namespace: 'x.opcnamespace' }),
  part('apart', 'operator family', 'pg_opfamily', 'x.opfname', { namespace: 'x.opfnamespace' }),
  part('apart', 'operator family', 'pg_amop', 'o.opfname', ofFamily('amopfamily')),
  part('apart', 'operator family', 'pg_amproc', 'o.opfname', ofFamily('amprocfamily')),
  part('apart', 'access method', 'pg_am', 'x.amname'),
  part('apart', 'cast', 'pg_cast', 'pg_catalog.format_type(x.castsource, NULL)', {
    // That of a range to its multirange comes and goes with them.
    where: `NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_cast'::regclass
      AND d.objid = x.oid AND d.deptype = 'i')`,
  }),
  part('apart', 'conversion', 'pg_conversion', 'x.conname', { namespace: 'x.connamespace' }),
  part('apart', 'transform', 'pg_transform', 'pg_catalog.format_type(x.trftype, NULL)'),
  part('apart', 'language', 'pg_language', 'x.lanname'),
  part('apart', 'default privileges', 'pg_default_acl', 'pg_catalog.pg_get_userbyid(x.defaclrole)'),
  part('apart', 'event trigger', 'pg_event_trigger', 'x.evtname'),
  part('apart', 'security label', 'pg_seclabel', 'x.label', { of: '' }),
  part('apart', 'text search configuration', 'pg_ts_config', 'x.cfgname', { namespace: 'x.cfgnamespace' }),
  part('apart', 'text search configuration', 'pg_ts_config_map', 'o.cfgname', {
    of: 'pg_ts_config',
    from: 'JOIN pg_catalog.pg_ts_config o ON o.oid = x.mapcfg',
    namespace: 'o.cfgnamespace',
  }),
  part('apart', 'text search dictionary', 'pg_ts_dict', 'x.dictname', { namespace: 'x.dictnamespace' }),
  part('apart', 'text search parser', 'pg_ts_parser', 'x.prsname', { namespace: 'x.prsnamespace' }),
  part('apart', 'text search template', 'pg_ts_template', 'x.tmplname', { namespace: 'x.tmplnamespace' }),
]

function partSql({ as, what, name, catalog, of, from = '', namespace, where = 'true' }: Part): string {
  const row = of === undefined ? 'x' : 'o'
  const isMember = of === '' ? 'true' : isOurs(of ?? catalog, `${row}.oid`, 'coalesce(n.nspname, $$$$)')
  return `SELECT '${as}', '${what}', ${name}::text FROM pg_catalog.${catalog} x ${from}
    LEFT JOIN pg_catalog.pg_namespace n ON n.oid = ${namespace ?? '0'}
    WHERE ${isWritten('x')} AND ${where} AND ${isMember}`
}

/** How, what, name. */
export const writtenQuery = parts.map(partSql).join('\nUNION\n')

/** Relations, as `sharedQueries` lists what has no rows: those that were written, or those named in $1. */
const relations = (which: string): string => `
SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass::text,
  CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) ELSE '' END,
  format('ALTER TABLE %s OWNER TO %I', c.oid::regclass, pg_get_userbyid(c.relowner)),
  ${privileges('c.relacl', "CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\"", 'c.relowner')}, true,
  (SELECT coalesce(json_agg(DISTINCT jsonb_build_array(
      CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
      format('%s (%I)', a.privilege_type, t.attname), a.is_grantable)), '[]')::text
    FROM pg_attribute t CROSS JOIN LATERAL aclexplode(t.attacl) AS a WHERE t.attrelid = c.oid AND NOT t.attisdropped)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'S') AND ${isOurs('pg_class', 'c.oid', 'n.nspname')} AND ${which}
ORDER BY c.oid`

export const writtenRelationsQuery = relations(`(${isWritten('c')} OR EXISTS (
  SELECT FROM pg_attribute t WHERE t.attrelid = c.oid AND ${isWritten('t')}))`)
export const namedRelationsQuery = relations('c.oid::regclass::text = ANY ($1::text[])')

/** Tables and views, by name. */
export const relationNamesQuery = `
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v') AND ${isOurs('pg_class', 'c.oid', 'n.nspname')}`
