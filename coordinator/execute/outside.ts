import { weftError } from '../../errors/catalog.ts'
import type { Column } from '../../sql/catalog.ts'
import { backslashStrings, escapesSpelt } from '../../sql/lex/backslashes.ts'
import type { GatherPlan, GatherStep, Outside, OutsideRelation } from '../../sql/plan/gather/gather-plan.ts'
import type { CursorPlan, Plan } from '../../sql/plan/plan.ts'
import { type ExecContext, type Execution, HOME } from './context.ts'
import { judgeOnHome } from './evaluate.ts'
import { judgedText, runGather } from './gather.ts'
import { textArray } from './quote.ts'
import { resolveShards } from './route.ts'
import { queryShard } from './send.ts'

/**
 * Plans a statement again with what home tells of the relations that the catalog does not describe: local and temporary
 * tables, of which nobody is told when they change, views, Postgres' own.
 */
async function planWithOutside(
  ctx: ExecContext,
  exec: Execution,
  relations: readonly string[],
): Promise<Plan> {
  if (!ctx.tx.isOpen && ctx.hasTransactionSnapshots) await ctx.needTransaction()
  await ctx.admit()
  const outside = relations.length === 0 ? NOTHING : await told(ctx, relations)
  // One that is not there: Postgres says so.
  if (outside.size < relations.length) {
    await judgeOnHome(ctx, exec.plan.tag === 'COPY' ? { ...exec, text: judgedText(exec.text) } : exec)
    throw unknownOutside()
  }
  return ctx.planText(exec.text, exec.paramTypes, outside)
}

/** Runs the DECLARE of a cursor by gathering. */
export async function runGathered(ctx: ExecContext, exec: Execution, plan: CursorPlan): Promise<void> {
  const gather = await gathering(ctx, exec, plan)
  await runGather(ctx, exec, gather, await resolveShards(ctx, ALL, exec))
}

/** How a statement is run by gathering; planned again where home has to be asked. */
async function gathering(ctx: ExecContext, exec: Execution, plan: CursorPlan): Promise<GatherPlan> {
  const known = plan.gather?.kind === 'gather-outside' ? await again(ctx, exec, plan, plan.gather) : plan
  if (known.gather?.kind !== 'gather') throw unknownOutside()
  return known.gather.gather
}

/** A plan of the same kind, with what home tells. */
export async function again<P extends Plan>(
  ctx: ExecContext,
  exec: Execution,
  plan: P,
  { relations }: Extract<GatherStep, { kind: 'gather-outside' }>,
): Promise<P> {
  const known = await planWithOutside(ctx, exec, relations)
  if (known.kind === 'refused') throw known.error
  if (known.kind !== plan.kind) throw unknownOutside()
  return known as P
}

const ALL = { kind: 'all' } as const
const UNKNOWN = { what: 'a query over several shards and a relation that is not known' }
export const unknownOutside = () => weftError('not_supported', UNKNOWN)

const NOTHING: Outside = new Map()

async function told(ctx: ExecContext, relations: readonly string[]): Promise<Outside> {
  const options = { writes: false, looks: false }
  const { rows } = await queryShard(ctx, ctx.line(HOME), OUTSIDE, [textArray(relations)], options)
  const told = new Map(rows.map((row) => relationOf(row.map((value) => value?.toString('utf8') ?? null))))
  return ctx.currentSettings().escapes === true ? asUnderDefault(told) : told
}

/** Postgres has printed views by the session's own setting. */
function asUnderDefault(told: Outside): Outside {
  const anew = ({ definition, ...rest }: OutsideRelation): OutsideRelation => {
    if (definition === undefined) return rest
    const text = Buffer.from(definition)
    return { ...rest, definition: escapesSpelt(text, backslashStrings(text, true).strings).sql.toString() }
  }
  return new Map([...told].map(([name, relation]) => [name, anew(relation)]))
}

type Row = readonly (string | null)[]

function relationOf([name, schema, relation, columns, primaryKey, kind, definition]: Row): [
  string,
  OutsideRelation,
] {
  const keys = primaryKey == null ? {} : { primaryKey: JSON.parse(primaryKey) as string[] }
  return [
    name!,
    {
      schema: schema!,
      name: relation!,
      columns: (JSON.parse(columns!) as Told[]).map(columnOf),
      isTable: kind === 'r' || kind === 'p',
      ...keys,
      ...(definition == null ? {} : { definition }),
    },
  ]
}

interface Told {
  readonly name: string
  readonly type: string
  readonly oid: string
  readonly declared: string | null
  readonly collation: string | null
}

function columnOf({ name, type, oid, declared, collation }: Told): Column {
  return {
    name,
    type,
    typeOid: Number(oid),
    ...(declared === null ? {} : { declared }),
    ...(collation === null ? {} : { collation }),
    notNull: false,
    usesSequence: false,
    generated: false,
  }
}

/** Under the session's own search path, as its backend will find them. */
const OUTSIDE = `
SELECT asked.name, n.nspname, c.relname,
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_object('name', a.attname,
     'type', pg_catalog.format_type(a.atttypid, NULL), 'oid', a.atttypid,
     'declared', CASE WHEN a.atttypmod >= 0 THEN pg_catalog.format_type(a.atttypid, a.atttypmod) END,
     'collation', CASE WHEN a.attcollation NOT IN (0, 'pg_catalog."default"'::pg_catalog.regcollation)
       THEN a.attcollation::pg_catalog.regcollation::pg_catalog.text END) ORDER BY a.attnum)
   FROM pg_catalog.pg_attribute a
   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  (SELECT pg_catalog.json_agg(a.attname) FROM pg_catalog.pg_constraint p
   JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (p.conkey)
   WHERE p.conrelid = c.oid AND p.contype = 'p' AND NOT p.condeferrable
     -- Not a key of the rows that its children add.
     AND (c.relkind <> 'r' OR NOT c.relhassubclass)),
  c.relkind,
  CASE WHEN c.relkind = 'v' AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
    AND (pg_catalog.pg_get_userbyid(c.relowner) = CURRENT_USER OR o.invoker) AND NOT o.barrier
    THEN pg_catalog.pg_get_viewdef(c.oid) END
FROM pg_catalog.unnest($1::pg_catalog.text[]) AS asked (name)
JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(asked.name)
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
  SELECT COALESCE(pg_catalog.bool_or(option_name = 'security_invoker' AND option_value::pg_catalog.bool), false) AS invoker,
    COALESCE(pg_catalog.bool_or(option_name = 'security_barrier' AND option_value::pg_catalog.bool), false) AS barrier
  FROM pg_catalog.pg_options_to_table(c.reloptions)
  WHERE option_name LIKE 'security%') o
WHERE EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)`
