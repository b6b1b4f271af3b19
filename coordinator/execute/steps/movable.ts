import { weftError } from '../../../errors/catalog.ts'
import { PgError } from '../../../errors/pg-error.ts'
import type { MovePlan } from '../../../sql/plan/gather/gather-plan.ts'
import { type ExecContext, HOME } from '../context.ts'
import { quoteTable, textArray } from '../quote.ts'
import { queryShard } from '../shards/send.ts'
import type { Places } from './places.ts'

const UNLOOKED = { writes: false, looks: false }

/**
 * A row that moves is deleted and inserted, where one Postgres updates it: whatever would tell the two apart is an error.
 * What is the table's own (checks, unique indexes, foreign keys of its rows) sees no difference.
 */
export async function mustBeMovable(ctx: ExecContext, move: Moved): Promise<void> {
  const params = [quoteTable(move.table), textArray(move.sets), String(move.withChildren)]
  const { rows } = await queryShard(ctx, ctx.line(HOME), OBSTACLES, params, UNLOOKED)
  const [obstacle] = rows
  if (obstacle !== undefined) throw notMovable(move, String(obstacle[0]))
}

type Moved = Pick<MovePlan, 'table' | 'sets' | 'withChildren'>

function notMovable({ table, sets }: Moved, why: string): PgError {
  const key = table.key!.column
  return weftError('not_supported', {
    id: 'rows_moved',
    what: `an UPDATE of shard key "${key}" that moves rows of "${table.name}" to other shards is not supported: ${why}`,
    hint: sets.includes(key) ? 'Delete the rows and insert them with the new key, in one transaction.' : '',
  })
}

/** Why rows of table $1 of which columns $2 are set cannot be deleted and inserted in place of an UPDATE. */
const OBSTACLES = `
WITH t AS (SELECT pg_catalog.to_regclass($1) AS oid),
  tree AS (SELECT oid FROM t UNION SELECT p.relid FROM t, pg_catalog.pg_partition_tree(t.oid) AS p)
SELECT why FROM (
  SELECT 1 AS n, 'trigger "' || g.tgname || '" would not see an UPDATE' AS why
  FROM pg_catalog.pg_trigger g JOIN tree ON g.tgrelid = tree.oid
  WHERE NOT g.tgisinternal
    AND g.tgenabled = ANY (CASE pg_catalog.current_setting('session_replication_role')
      WHEN 'replica' THEN '{R,A}'::"char"[] ELSE '{O,A}'::"char"[] END)
    -- INSERT, DELETE, or an UPDATE of what is set.
    AND (g.tgtype & 12 <> 0 OR g.tgtype & 16 <> 0 AND (pg_catalog.cardinality(g.tgattr::pg_catalog.int2[]) = 0
      OR EXISTS (SELECT FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = g.tgrelid AND a.attnum = ANY (g.tgattr::pg_catalog.int2[])
        AND a.attname = ANY ($2::pg_catalog.text[]))))
  UNION ALL
  SELECT 2, 'rule "' || r.rulename || '" is about something else'
  FROM pg_catalog.pg_rewrite r JOIN t ON r.ev_class = t.oid
  UNION ALL
  SELECT 3, 'policy "' || p.polname || '" is not for all commands alike'
  FROM pg_catalog.pg_policy p JOIN t ON p.polrelid = t.oid
  WHERE pg_catalog.row_security_active(t.oid) AND (p.polcmd <> '*' OR p.polwithcheck IS NOT NULL AND
    pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) IS DISTINCT FROM pg_catalog.pg_get_expr(p.polqual, p.polrelid))
  UNION ALL
  SELECT 4, 'its rows may be those of a table that inherits from it'
  FROM t JOIN pg_catalog.pg_class c ON c.oid = t.oid AND c.relkind <> 'p'
  WHERE $3::pg_catalog.bool AND EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = t.oid)
  UNION ALL
  SELECT 5, 'foreign key "' || k.conname || '" is not valid for all rows'
  FROM pg_catalog.pg_constraint k JOIN tree ON k.conrelid = tree.oid
  WHERE k.contype = 'f' AND NOT k.convalidated) AS o
ORDER BY n, why LIMIT 1`

/** Foreign keys to table $1, its partitions, or what it is one of, whose ON DELETE is not like their ON UPDATE. */
const REFERRING = `
SELECT n.nspname, c.relname, k.conname,
  pg_catalog.string_agg(pg_catalog.quote_ident(p.attname), ', ' ORDER BY i.n),
  pg_catalog.string_agg('r.' || pg_catalog.quote_ident(a.attname) || ' = t.' || pg_catalog.quote_ident(p.attname), ' AND '
    ORDER BY i.n),
  pg_catalog.string_agg('t.' || pg_catalog.quote_ident(p.attname), ', ' ORDER BY i.n),
  k.confupdtype = 'a' AND NOT k.condeferrable,
  c.relrowsecurity
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL pg_catalog.generate_subscripts(k.conkey, 1) AS i (n)
JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[i.n]
JOIN pg_catalog.pg_attribute p ON p.attrelid = k.confrelid AND p.attnum = k.confkey[i.n]
LEFT JOIN pg_catalog.pg_constraint w ON w.oid = k.conparentid
WHERE k.contype = 'f' AND (k.confrelid = pg_catalog.to_regclass($1) AND w.confrelid IS DISTINCT FROM k.confrelid
    OR k.conparentid = 0 AND k.confrelid IN (SELECT relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass($1))))
  AND (k.confdeltype <> k.confupdtype OR k.confdeltype NOT IN ('a', 'r'))
  AND pg_catalog.current_setting('session_replication_role') <> 'replica'
GROUP BY k.oid, n.nspname, c.oid
ORDER BY k.oid`

/** A row of what `REFERRING` says. */
export type ForeignKey = readonly string[]

/** Foreign keys that would do something else to who refers to a row, were it deleted. */
export async function foreignKeysTo(ctx: ExecContext, move: MovePlan): Promise<readonly ForeignKey[]> {
  const { rows } = await queryShard(ctx, ctx.line(HOME), REFERRING, [quoteTable(move.table)], UNLOOKED)
  return rows.map((key) => key.map(String))
}

/** Rows of a shard that nobody refers to by a foreign key can be deleted, whatever it would do. */
export async function mustNotBeReferred(
  ctx: ExecContext,
  move: MovePlan,
  leaving: Places,
  shard: number,
  [schema, table, name, columns, joins, values, isPlain, hasPolicies]: ForeignKey,
): Promise<void> {
  const because = (): PgError =>
    notMovable(
      move,
      `rows of "${table}" refer to them, and foreign key "${name}" has an ON DELETE of its own`,
    )
  if (hasPolicies === 't') throw because()
  const sql =
    `SELECT pg_catalog.concat_ws(', ', ${values}) FROM ${quoteTable(move.table)} AS t ` +
    'WHERE t.ctid = ANY (CAST($2 AS tid[])) AND (t.tableoid, t.ctid) IN ' +
    '(SELECT * FROM ROWS FROM (pg_catalog.unnest(CAST($1 AS oid[])), pg_catalog.unnest(CAST($2 AS tid[])))) ' +
    `AND EXISTS (SELECT FROM ${quoteTable({ schema: schema!, name: table! })} AS r WHERE ${joins}) LIMIT 1`
  const places = leaving.arrays(shard).slice(0, 2)
  const { rows } = await queryShard(ctx, ctx.line(shard), sql, places, { writes: false })
  const [referred] = rows
  if (referred === undefined) return
  if (isPlain !== 't') throw because()
  throw new PgError({
    code: '23503',
    message: `update or delete on table "${move.table.name}" violates foreign key constraint "${name}" on table "${table}"`,
    detail: `Key (${columns})=(${String(referred[0])}) is still referenced from table "${table}".`,
    schema,
    table,
    constraint: name,
  })
}
