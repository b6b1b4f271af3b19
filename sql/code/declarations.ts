/**
 * Declarations of PL/pgSQL. Their types are looked up by the search path of the first call in a backend, and stay: nothing
 * makes Postgres forget what it has compiled, not even DISCARD ALL (docs/decisions/0009-what-plans-mean.md). PURE.
 */

/** Types that no schema of a user's can hide, and what else stands where a type does. */
const BUILT_IN: ReadonlySet<string> = new Set(
  `int int2 int4 int8 integer smallint bigint numeric decimal real float float4 float8 double money bool boolean text varchar
  char character bpchar name bytea bit varbit date time timetz timestamp timestamptz interval uuid json jsonb jsonpath xml oid
  regclass regtype regproc regprocedure inet cidr macaddr point box path polygon circle line lseg tsvector tsquery
  int4range int8range numrange daterange tsrange tstzrange record refcursor cursor alias no scroll trigger void xid xid8 tid
  anyelement anyarray`.split(/\s+/),
)

const SECTION = /\bdeclare\b([\s\S]*)\bbegin\b/i
const LEADING_COMMENTS = /^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)+/
const TYPE = /^["\p{L}\p{N}_$]+\s+(?:constant\s+)?([\p{L}_][\p{L}\p{N}_$]*|")/iu

/** Whether a body declares anything of a type that search_path may have to find. */
export function declaresByName(body: string): boolean {
  const section = SECTION.exec(body)?.[1]
  if (section === undefined) return false
  return section.split(';').some((part) => {
    const type = TYPE.exec(part.replace(LEADING_COMMENTS, ''))?.[1]
    return type !== undefined && !BUILT_IN.has(type.toLowerCase())
  })
}
