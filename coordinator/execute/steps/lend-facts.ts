import { weftError } from '../../../errors/catalog.ts'
import { SLOT_GUARD } from '../../../sql/install/slot-guard.ts'
import type { ReadTable } from '../../../sql/plan/materialize-plan.ts'
import { HOME } from '../context.ts'
import { quoteTable, textArray } from '../quote.ts'
import type { ShardRunner } from '../shards/shard-runner.ts'

/** What has to be known of a sharded table before home is lent the rows of the other shards. */
export interface LentTable {
  readonly schema: string
  readonly name: string
  /** Qualified and quoted. */
  readonly qualified: string
  /** Those that COPY can write, not generated ones. */
  readonly columns: readonly string[]
  /** Of the constraint that keeps rows on their shard, where a child would inherit it. */
  readonly guard?: { readonly definition: string; readonly isValid: boolean }
}

/** The encoding of home, and whether the transaction may write. */
export interface LentFacts {
  readonly tables: readonly LentTable[]
  readonly encoding: string
  readonly isReadOnly: boolean
}

const ASKED = `
SELECT c.oid::pg_catalog.regclass::text,
  (SELECT pg_catalog.json_agg(a.attname ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''),
  (SELECT pg_catalog.pg_get_constraintdef(k.oid) FROM pg_catalog.pg_constraint k
   WHERE k.conrelid = c.oid AND k.conname = '${SLOT_GUARD}' AND NOT k.connoinherit),
  CASE
    WHEN NOT pg_catalog.pg_has_role(c.relowner, 'USAGE') THEN 'owner'
    WHEN pg_catalog.row_security_active(c.oid) THEN 'policies'
    WHEN NOT pg_catalog.has_schema_privilege(c.relnamespace, 'CREATE') THEN 'schema'
    WHEN EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype IN ('c', 'n')
      AND NOT k.convalidated AND NOT k.connoinherit AND k.conname <> '${SLOT_GUARD}') THEN 'unproven'
    WHEN pg_catalog.pg_get_userbyid(c.relowner) <> CURRENT_USER AND EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      LEFT JOIN pg_catalog.pg_constraint k ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = d.objid
        AND k.contype = 'c' AND k.conrelid = c.oid
      LEFT JOIN pg_catalog.pg_attrdef g ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND g.oid = d.objid
        AND g.adrelid = c.oid
      WHERE coalesce(k.oid, g.oid) IS NOT NULL AND d.refclassid IN
        ('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass)) THEN 'code'
  END,
  pg_catalog.getdatabaseencoding(), pg_catalog.current_setting('transaction_read_only')
FROM pg_catalog.unnest($1::text[]) WITH ORDINALITY AS t (name, n) JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(t.name)
ORDER BY t.n`

/** Tables in the order in which they are locked: the same for all. Throws where it cannot be. */
export async function lentFacts(runner: ShardRunner, relations: readonly ReadTable[]): Promise<LentFacts> {
  const sorted = relations.toSorted((a, b) => a.oid - b.oid)
  const names = sorted.map(quoteTable)
  const { rows } = await runner.query(HOME, ASKED, [textArray(names)])
  if (rows.length < sorted.length) throw weftError('stale_map', { have: 0, need: 0 })
  const tables = rows.map(([, columns, guard, obstacle], i): LentTable => {
    const { schema, name } = sorted[i]!
    if (obstacle != null) throw refusal(name, obstacle as keyof typeof OBSTACLES)
    return {
      schema,
      name,
      qualified: names[i]!,
      columns: JSON.parse(columns!) as string[],
      ...(guard != null && {
        guard: { definition: guard.replace(/ NOT VALID$/, ''), isValid: !guard.endsWith(' NOT VALID') },
      }),
    }
  })
  const [, , , , encoding, readOnly] = rows[0]!
  return { tables, encoding: encoding!, isReadOnly: readOnly === 'on' }
}

const OBSTACLES = {
  owner: ['by a role that does not own it', 'Have the role that owns the table do it, or a member of that.'],
  policies: ['by a role to whom its policies apply', 'Have a role do it to which they do not apply.'],
  schema: ['by a role that may not create tables in its schema', 'GRANT CREATE ON SCHEMA.'],
  unproven: ['which has a constraint that is NOT VALID', 'ALTER TABLE … VALIDATE CONSTRAINT.'],
  code: [
    'whose constraints or generated columns run functions of users, by another role than its owner',
    'Have the owner of the table do it.',
  ],
} as const

function refusal(table: string, obstacle: keyof typeof OBSTACLES) {
  const [why, hint] = OBSTACLES[obstacle]
  const what = `materializing a view over sharded table "${table}", ${why}, is not supported`
  return weftError('not_supported', { id: 'materialized_view', what, hint })
}
