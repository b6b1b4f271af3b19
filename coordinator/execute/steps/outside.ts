import { weftError } from '../../../errors/catalog.ts'
import type { Refused } from '../../../errors/refusals/refusals.ts'
import type { Column } from '../../../sql/catalog.ts'
import { backslashStrings, escapesSpelt } from '../../../sql/lex/backslashes.ts'
import type {
  GatherPlan,
  Outside,
  OutsideRelation,
  OutsideStep,
  ToldContext,
} from '../../../sql/plan/gather/gather-plan.ts'
import type { CursorPlan, Plan } from '../../../sql/plan/plan.ts'
import { judgeOnHome } from '../answers/evaluate.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { describedColumns } from '../described-columns.ts'
import { textArray } from '../quote.ts'
import { resolveShards } from '../route.ts'
import { queryShard } from '../shards/send.ts'
import { runGather } from './gather.ts'

/** Local tables change without a word: what was told of them holds for one execution. */
const known = new WeakMap<Plan, Plan>()

/** What is still to be asked for a plan. */
function stepOf(plan: Plan): OutsideStep | undefined {
  const step =
    plan.kind === 'explain' && plan.inner.kind === 'forward'
      ? plan.inner.onSeveral
      : plan.kind === 'forward'
        ? plan.onSeveral
        : plan.kind === 'cursor'
          ? plan.gather
          : plan.kind === 'insert-select'
            ? plan.source
            : undefined
  return step?.kind === 'gather-outside' ? step : undefined
}

/**
 * A plan of the same kind, made with what home tells of the relations that the catalog does not describe (local and
 * temporary tables, of which nobody is told when they change, views, Postgres' own), and of what shards would compute.
 * `ahead`: what is known of it by now.
 */
export async function again<P extends Plan>(
  ctx: ExecContext,
  exec: Execution,
  plan: P,
  ahead: ToldContext = {},
): Promise<P> {
  const kept = known.get(plan)
  if (kept !== undefined) return kept as P
  if (!ctx.tx.isOpen && ctx.hasTransactionSnapshots) await ctx.needTransaction()
  await ctx.admit()
  let told: ToldContext = { outside: NOTHING, described: new Map(), ...ahead }
  let made: Plan = ahead.movesKey === true ? await planned(ctx, exec, plan, ahead) : plan
  for (let step = stepOf(made), turn = 0; step !== undefined; step = stepOf(made), turn++) {
    if (turn === TURNS_MAX) throw unknownOutside()
    told = await toldMore(ctx, exec, step, told)
    made = await planned(ctx, exec, plan, told)
  }
  const isOfText = plan.generic && !made.generic
  if (told.outside?.size === 0 && !isOfText) known.set(plan, made)
  return made as P
}

async function planned(ctx: ExecContext, exec: Execution, plan: Plan, told: ToldContext): Promise<Plan> {
  const made = await ctx.planText(exec.text, exec.paramTypes, told)
  if (made.kind === 'refused') throw made.error
  if (made.kind !== plan.kind) throw unknownOutside()
  return made
}

/** Names, then what shards would compute of what is named. */
const TURNS_MAX = 3

async function toldMore(
  ctx: ExecContext,
  exec: Execution,
  { relations, parts = [] }: OutsideStep,
  before: ToldContext,
): Promise<ToldContext> {
  const outside = relations.length === 0 ? before.outside! : await relationsTold(ctx, relations)
  // One that is not there: Postgres says so.
  if (outside.size < relations.length) {
    await judgeOnHome(ctx, exec)
    throw unknownOutside()
  }
  const described = new Map(before.described)
  for (const part of parts) described.set(part.sql, await describedColumns(ctx, exec, part))
  return { ...before, outside, described }
}

/** Runs the DECLARE of a cursor by gathering. */
export async function runGathered(ctx: ExecContext, exec: Execution, plan: CursorPlan): Promise<void> {
  const gather = await gathering(ctx, exec, plan)
  await runGather(ctx, exec, gather, await resolveShards(ctx, ALL, exec))
}

/** How a statement is run by gathering; planned again where home has to be asked. */
async function gathering(ctx: ExecContext, exec: Execution, plan: CursorPlan): Promise<GatherPlan> {
  const { gather } = stepOf(plan) === undefined ? plan : await again(ctx, exec, plan)
  if (gather?.kind !== 'gather') throw unknownOutside()
  return gather.gather
}

const ALL = { kind: 'all' } as const
const UNKNOWN: Refused = {
  id: 'unread_relation',
  what: 'a query over several shards and a relation that is not known',
}
export const unknownOutside = () => weftError('not_supported', UNKNOWN)

const NOTHING: Outside = new Map()

async function relationsTold(ctx: ExecContext, relations: readonly string[]): Promise<Outside> {
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
