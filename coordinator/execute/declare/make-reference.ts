import { HOME } from '../context.ts'
import type { ShardRunner } from '../shards/shard-runner.ts'
import * as checks from './declare-checks.ts'
import type { ForeignKeySide, Spread, TableFacts } from './declare-facts.ts'
import { checkHeirsAlike, prepareTree } from './heirs-elsewhere.ts'
import { movedTable, type Part } from './make-sharded.ts'
import { copyToAll } from './move-rows.ts'
import { createElsewhere, finishElsewhere, quietly, runElsewhere } from './table-elsewhere.ts'

/** Makes a table on home a reference table, and all that is a part of it, which comes before it in `tree`. */
export async function makeReference(
  runner: ShardRunner,
  oid: string,
  table: TableFacts,
  tree: readonly Part[],
): Promise<void> {
  checkTree(tree)
  await prepareTree(runner, table, tree)
  for (const part of tree) {
    if (!table.hasHeirs) await createElsewhere(runner, part.oid, part.table)
    if (part.table.relkind === 'p' || part.table.blank) continue
    await quietly(runner, part.oid, part.table, 'nothing', () => copyToAll(runner, movedTable(part.table)))
  }
  await runner.query(HOME, 'SELECT weft.declare_reference($1::oid)', [oid], 'write')
  if (tree.length > 1) await runner.query(HOME, 'SELECT weft.declare_partitions(NULL)', [], 'write')
  for (const part of tree) await finishElsewhere(runner, part.oid)
  if (table.hasHeirs) await checkHeirsAlike(runner, tree)
  await runElsewhere(
    runner,
    tree.flatMap(({ attach }) => attach ?? []),
  )
}

function checkTree(tree: readonly Part[]): void {
  const own = new Set(tree.map(({ oid }) => oid))
  const spreadOf = (side: ForeignKeySide): Spread => (own.has(side.oid) ? { kind: 'reference' } : side.spread)
  for (const { table } of tree) {
    checks.checkTriggers(table, tree.length > 1 || table.relkind === 'p')
    checks.checkSnapshot(table)
  }
  // Those of the whole are its group's.
  for (const { table } of tree.slice(0, -1)) checks.checkForeignKeys(table.foreignKeys, spreadOf)
}
