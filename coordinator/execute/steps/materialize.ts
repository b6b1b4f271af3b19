import { weftError } from '../../../errors/catalog.ts'
import type { MaterializePlan, ReadTable } from '../../../sql/plan/materialize-plan.ts'
import { tableName } from '../../../sql/plan/reach.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { markMapChanged } from '../declare/ddl.ts'
import { runReaching } from '../declare/reach.ts'
import { runOnOne } from '../forward.ts'
import { noteScatter } from '../scatter.ts'
import { SessionRunner } from '../shards/session-runner.ts'
import { lentFacts } from './lend-facts.ts'
import { beginToLend, letInherit, withLentRows } from './lend-rows.ts'

/** CREATE and REFRESH MATERIALIZED VIEW: run as written on home, which has the rows of all shards meanwhile. */
export async function runMaterialize(
  ctx: ExecContext,
  exec: Execution,
  plan: MaterializePlan,
): Promise<void> {
  await ctx.admit()
  const asked = await askHome(ctx, plan)
  const facts = asked.tables.length === 0 ? undefined : await lentFacts(new SessionRunner(ctx), asked.tables)
  // Postgres says why it cannot be.
  const isVain = facts?.isReadOnly === true || plan.paramCount > 0
  if (facts === undefined || isVain) return asWritten(ctx, exec, plan, [])
  noteScatter(ctx, asked.sharded, { length: ctx.node.shardCount })
  await letInherit(ctx, facts)
  const state = await beginToLend(ctx, facts, asked.readsOne)
  await withLentRows(ctx, facts, state, async () => {
    await asWritten(ctx, exec, plan, asked.tables)
    if (asked.oid !== undefined) await mustBe(ctx, plan, asked.oid)
  })
}

/** Code of the query sees the rows of those tables too. */
async function asWritten(
  ctx: ExecContext,
  exec: Execution,
  plan: MaterializePlan,
  tables: readonly ReadTable[],
): Promise<void> {
  const work = () => runOnOne(ctx, exec, HOME)
  const reach = plan.reach && { ...plan.reach, tables: tables.map(tableName) }
  if (plan.changesMap) await ctx.needTransaction()
  await (reach === undefined ? work() : runReaching(ctx, plan, reach, work))
  if (plan.changesMap) markMapChanged(ctx)
}

interface Asked {
  readonly tables: readonly ReadTable[]
  readonly sharded: MaterializePlan['sharded']
  readonly readsOne: boolean
  /** Of the view that is there. */
  readonly oid?: string
}

const NOTHING: Asked = { tables: [], sharded: undefined, readsOne: false }

const tablesOf = ({ tables = [], sharded, readsOne = false }: MaterializePlan): Asked => ({
  tables,
  sharded,
  readsOne,
})

/** Nothing where Postgres will not run the query, or where it reads no sharded table. */
async function askHome(ctx: ExecContext, plan: MaterializePlan): Promise<Asked> {
  const runner = new SessionRunner(ctx)
  if (plan.creates) {
    const { rows } = await runner.query(HOME, IS_TAKEN, [plan.view])
    return rows[0]?.[0] === 't' ? NOTHING : tablesOf(plan)
  }
  const [row] = (await runner.query(HOME, QUERY_OF, [plan.view])).rows
  if (row === undefined) return NOTHING
  const [oid, name, definition] = row
  const made = await ctx.planText(`CREATE MATERIALIZED VIEW ${name} AS ${definition}`, [])
  if (made.kind === 'refused') throw made.error
  if (made.kind !== 'materialize') throw weftError('stale_map', { have: 0, need: 0 })
  return { ...tablesOf(made), oid: oid! }
}

/** Of a name: in its schema, or in the one in which a new relation would be. */
const IS_TAKEN = `
SELECT EXISTS (SELECT FROM pg_catalog.pg_class c, pg_catalog.parse_ident($1) AS p (name)
WHERE c.relname = p.name[pg_catalog.cardinality(p.name)] AND c.relnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(
  CASE pg_catalog.cardinality(p.name) WHEN 1 THEN pg_catalog.current_schema()
  ELSE p.name[pg_catalog.cardinality(p.name) - 1] END)))`

/** The query of a view that the role may refresh, and that reads a sharded table, perhaps through other views. */
const QUERY_OF = `
WITH RECURSIVE v AS (
    SELECT c.oid, c.relowner FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1) AND c.relkind = 'm'),
  reads (oid) AS (
    SELECT oid FROM v
    UNION SELECT d.refobjid FROM reads r JOIN pg_catalog.pg_rewrite w ON w.ev_class = r.oid
      JOIN pg_catalog.pg_class c ON c.oid = r.oid AND (c.relkind = 'v' OR c.oid IN (SELECT oid FROM v))
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid
        AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass)
SELECT v.oid, v.oid::pg_catalog.regclass::text, pg_catalog.pg_get_viewdef(v.oid) FROM v
WHERE EXISTS (SELECT FROM reads JOIN weft.relation t ON t.relid = reads.oid AND t.kind = 'sharded')
  AND (pg_catalog.pg_has_role(v.relowner, 'USAGE') OR CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 170000
    THEN pg_catalog.has_table_privilege(v.oid, 'MAINTAIN') ELSE false END)`

/** Another view may have come to its name before it was locked. */
async function mustBe(ctx: ExecContext, { view }: MaterializePlan, oid: string): Promise<void> {
  const { rows } = await new SessionRunner(ctx).query(HOME, 'SELECT pg_catalog.to_regclass($1)::oid', [view])
  if (rows[0]?.[0] !== oid) throw weftError('view_replaced', {})
}
