import { PgError } from '../../../errors/pg-error.ts'
import * as ddl from '../../../sql/install/table-ddl.ts'
import { HOME, shardsBesideHome } from '../context.ts'
import { quoteName } from '../quote.ts'
import type { ShardRunner } from '../shards/shard-runner.ts'
import type { TableFacts } from './declare-facts.ts'
import { mirrorTypesOf } from './mirror-shared.ts'

const others = (runner: ShardRunner): number[] => shardsBesideHome(runner.shardCount)

/** The first column of what home answers: statements. */
export async function statements(
  runner: ShardRunner,
  queries: readonly string[],
  oid: string,
): Promise<string[]> {
  const all: string[] = []
  for (const sql of queries) {
    const { rows } = await runner.query(HOME, sql, [oid])
    for (const row of rows) if (row[0] !== null && row[0] !== undefined) all.push(row[0])
  }
  return all
}

/** Runs them in order on each other shard, the shards side by side. */
export async function runElsewhere(runner: ShardRunner, sqls: readonly string[]): Promise<void> {
  const runs = others(runner).map(async (shard) => {
    for (const sql of sqls) await onShard(runner, shard, sql)
  })
  await settled(runs)
}

/** A statement on each shard, home included, the shards side by side. */
export async function onEveryShard(runner: ShardRunner, sql: (shard: number) => string): Promise<void> {
  await settled([HOME, ...others(runner)].map((shard) => onShard(runner, shard, sql(shard))))
}

/** Waits for all, also when one fails: no statement may be under way when the error is told. */
async function settled(runs: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(runs)).find((r) => r.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

async function onShard(runner: ShardRunner, shard: number, sql: string): Promise<void> {
  try {
    await runner.query(shard, sql, [], 'write')
  } catch (error) {
    if (!(error instanceof PgError)) throw error
    const where = [error.fields.where, `on shard ${shard}: ${sql}`].filter(Boolean).join('\n')
    throw new PgError({ ...error.fields, where }, { cause: error })
  }
}

/** Sequences of a tree of partitions: the defaults of its partitions, which are made first, name those of the whole. */
export async function sequencesElsewhere(
  runner: ShardRunner,
  tree: readonly { readonly oid: string; readonly table: TableFacts }[],
): Promise<void> {
  for (const { oid, table } of tree) {
    await prepareElsewhere(runner, oid, table)
    await runElsewhere(runner, await statements(runner, [ddl.sequencesQuery], oid))
  }
}

/** Makes the table, still without indexes, constraints and triggers, on all shards but home. */
export async function createElsewhere(runner: ShardRunner, oid: string, table: TableFacts): Promise<void> {
  await prepareElsewhere(runner, oid, table)
  await runElsewhere(runner, await statements(runner, ddl.createQueries, oid))
}

/** What must be there before the table is: its schema and its types, and nothing of its name. */
export async function prepareElsewhere(runner: ShardRunner, oid: string, table: TableFacts): Promise<void> {
  await settled(others(runner).map((shard) => checkFree(runner, shard, table)))
  const schema = await statements(runner, ddl.schemaQueries, oid)
  await settled(others(runner).map((shard) => createSchema(runner, shard, table.schema, schema)))
  // A function that a statement called has made them on the home shard only.
  await mirrorTypesOf(runner, oid)
}

async function checkFree(runner: ShardRunner, shard: number, table: TableFacts): Promise<void> {
  const { rows } = await runner.query(shard, 'SELECT to_regclass($1)::oid', [table.qualified])
  if (rows[0]?.[0] === null) return
  throw new PgError({
    code: '42P07',
    message: `relation "${table.name}" already exists on shard ${shard}`,
    detail: 'It is not part of the table on the home shard.',
    hint: `Drop or rename it on shard ${shard} itself.`,
  })
}

async function createSchema(
  runner: ShardRunner,
  shard: number,
  schema: string,
  sqls: readonly string[],
): Promise<void> {
  const { rows } = await runner.query(shard, 'SELECT to_regnamespace($1)::oid', [quoteName(schema)])
  if (rows[0]?.[0] !== null) return
  for (const sql of sqls) await onShard(runner, shard, sql)
}

/** Once the rows are there: constraints, indexes, triggers, policies, rights, comments, and the views that now work. */
export async function finishElsewhere(runner: ShardRunner, oid: string): Promise<void> {
  await runElsewhere(runner, await statements(runner, ddl.finishQueries, oid))
  const views = (await runner.query(HOME, ddl.viewsQuery, [oid])).rows
  for (const [name, create, owner, viewOid] of views) {
    const sqls = [create!, owner!, ...(await statements(runner, [ddl.grantsQuery], viewOid!))]
    await settled(
      others(runner).map(async (shard) => {
        const { rows } = await runner.query(shard, 'SELECT to_regclass($1)::oid', [name!])
        if (rows[0]?.[0] !== null) return
        for (const sql of sqls) await onShard(runner, shard, sql)
      }),
    )
  }
}

/**
 * Drops a table and its partitions on all shards but home, with the views over them; anything else that needs them there is
 * an error.
 */
export async function dropElsewhere(
  runner: ShardRunner,
  tree: readonly { readonly oid: string; readonly table: TableFacts }[],
): Promise<void> {
  const drops: string[] = []
  for (const { oid, table } of tree) {
    const views = (await runner.query(HOME, ddl.viewsQuery, [oid])).rows.map((row) => row[0]!).reverse()
    drops.push(...views.map((name) => `DROP VIEW IF EXISTS ${name}`), `DROP TABLE ${table.qualified}`)
  }
  await runElsewhere(runner, drops)
}

/**
 * Moves rows without anybody noticing: user triggers for `event` are off on home, foreign keys of the table to itself
 * (which would cascade to, or refuse, rows that go together) are dropped and made again, row security does not apply.
 */
export async function quietly(
  runner: ShardRunner,
  oid: string,
  table: TableFacts,
  event: 'delete' | 'insert' | 'nothing',
  move: () => Promise<void>,
): Promise<void> {
  const onHome = (sql: string) => runner.query(HOME, sql, [], 'write')
  const switches = event === 'nothing' ? [] : await homeSwitches(runner, oid, event)
  for (const [off] of switches) await onHome(off)
  const forced = table.forcesRowSecurity
  const sql = `ALTER TABLE ${table.qualified} NO FORCE ROW LEVEL SECURITY`
  if (forced) {
    await onHome(sql)
    if (event === 'insert') await runElsewhere(runner, [sql])
  }
  await move()
  // The check of a foreign key that is made again must see all rows, too: row security comes back last.
  for (const [, on] of switches.toReversed()) await onHome(on)
  if (forced) await onHome(`ALTER TABLE ${table.qualified} FORCE ROW LEVEL SECURITY`)
}

async function homeSwitches(
  runner: ShardRunner,
  oid: string,
  event: 'delete' | 'insert',
): Promise<readonly (readonly [off: string, on: string])[]> {
  const bit = event === 'delete' ? ddl.TRIGGER_ON_DELETE : ddl.TRIGGER_ON_INSERT
  const triggers = await runner.query(HOME, ddl.triggerSwitchesQuery, [oid, String(bit)])
  const references =
    event === 'delete' ? await runner.query(HOME, ddl.selfReferencesQuery, [oid]) : { rows: [] }
  return [...triggers.rows, ...references.rows].map((row) => [row[0]!, row[1]!] as const)
}
