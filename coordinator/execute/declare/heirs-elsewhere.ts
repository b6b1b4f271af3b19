import { weftError } from '../../../errors/catalog.ts'
import * as ddl from '../../../sql/install/heir-ddl.ts'
import { dropSlotGuard, SLOT_GUARD } from '../../../sql/install/slot-guard.ts'
import { heirCreateQueries } from '../../../sql/install/table-ddl.ts'
import { HOME, shardsBesideHome } from '../context.ts'
import { textArray } from '../quote.ts'
import type { ShardRunner } from '../shards/shard-runner.ts'
import type { TableFacts } from './declare-facts.ts'
import { columnsInOrder, type Heir } from './heir-columns.ts'
import { prepareElsewhere, runElsewhere, sequencesElsewhere, statements } from './table-elsewhere.ts'

interface Tabled {
  readonly oid: string
  readonly table: TableFacts
}

/** Before the tables of a tree, children first, are made elsewhere: heirs are all made here, of partitions the sequences. */
export async function prepareTree(
  runner: ShardRunner,
  { hasHeirs }: TableFacts,
  tree: readonly Tabled[],
): Promise<void> {
  // What a dump or LIKE brought along is some other table's.
  for (const part of tree.toReversed())
    await runner.query(HOME, dropSlotGuard(part.table.qualified), [], 'write')
  if (hasHeirs) await createHeirsElsewhere(runner, tree)
  else if (tree.length > 1) await sequencesElsewhere(runner, tree)
}

/** Makes a table and all that inherits from it on all shards but home. `tree`: children first. */
async function createHeirsElsewhere(runner: ShardRunner, tree: readonly Tabled[]): Promise<void> {
  const parentsFirst = tree.toReversed()
  for (const { oid, table } of parentsFirst) await prepareElsewhere(runner, oid, table)
  const of = async (tables: readonly Tabled[], queries: readonly string[]): Promise<string[]> => {
    const each: string[] = []
    for (const { oid } of tables) each.push(...(await statements(runner, queries, oid)))
    return each
  }
  await runElsewhere(runner, await of(parentsFirst, heirCreateQueries.before))
  const columns = columnsInOrder(await heirsOf(runner, parentsFirst))
  if (columns === undefined) throw unlike(tree.at(-1)!.table.name)
  await runElsewhere(runner, columns)
  // One query of all tables after the other: what is a child's own comes before it is its parent's, too.
  for (const query of ddl.heirValueQueries) await runElsewhere(runner, await of(tree, [query]))
  await runElsewhere(runner, await of(tree, heirCreateQueries.after))
}

async function heirsOf(runner: ShardRunner, tree: readonly Tabled[]): Promise<readonly Heir[]> {
  const heirs: Heir[] = []
  for (const { oid } of tree) {
    const parents = (await runner.query(HOME, ddl.heirParentsSql, [oid])).rows.map(([parent]) => parent!)
    const { rows } = await runner.query(HOME, ddl.heirColumnsSql, [oid])
    const columns = rows.map(([name, isOwn, add]) => ({ name: name!, isOwn: isOwn === 't', add: add! }))
    heirs.push({ oid, parents, columns })
  }
  return heirs
}

/** Once all is made: no statement may mean another thing on one shard than on another. */
export async function checkHeirsAlike(runner: ShardRunner, tree: readonly Tabled[]): Promise<void> {
  const names = textArray(tree.map(({ table }) => table.qualified))
  const on = async (shard: number) => (await runner.query(shard, ddl.heirsAlikeSql(SLOT_GUARD), [names])).rows
  const wanted = await on(HOME)
  for (const shard of shardsBesideHome(runner.shardCount)) {
    const there = await on(shard)
    const differs = wanted.find(([, what], i) => what !== there[i]?.[1])
    if (differs !== undefined) throw unlike(differs[0]!)
  }
}

function unlike(table: string) {
  return weftError('not_supported', {
    id: 'inherits',
    what: `what table "${table}" has inherited cannot be made alike on other shards`,
    hint: 'Take it out of the tree (ALTER TABLE … NO INHERIT), shard the tables, and have it inherit again.',
  })
}
