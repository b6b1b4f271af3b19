import { slotRanges } from '../../../cluster/slots.ts'
import { weftError } from '../../../errors/catalog.ts'
import { heirsSql } from '../../../sql/install/heir-ddl.ts'
import { addSlotGuard } from '../../../sql/install/slot-guard.ts'
import { HOME } from '../context.ts'
import { quoteName } from '../quote.ts'
import type { ShardRunner } from '../shards/shard-runner.ts'
import * as checks from './declare-checks.ts'
import {
  type ForeignKeySide,
  partitionsSql,
  readFacts,
  type Spread,
  type TableFacts,
} from './declare-facts.ts'
import { groupParam, type Member, shardedMember } from './declare-group.ts'
import { checkHeirsAlike, prepareTree } from './heirs-elsewhere.ts'
import { type MovedTable, moveOut } from './move-rows.ts'
import { createElsewhere, finishElsewhere, onEveryShard, quietly, runElsewhere } from './table-elsewhere.ts'

/** A table of a tree; `attach` makes it a partition again, where it was made by itself. */
export interface Part {
  readonly oid: string
  readonly table: TableFacts
  readonly attach?: string
}

type Sharded = Extract<Spread, { kind: 'sharded' }>

/** One that is to be sharded. */
type ShardedPart = Part & { readonly key: checks.CheckedKey }

/**
 * A table with its partitions, or what inherits from it, which come before what they are parts of. The lock on the table
 * holds them too.
 */
export async function treeOf(runner: ShardRunner, oid: string, table: TableFacts): Promise<readonly Part[]> {
  if (table.hasHeirs) return heirsOf(runner, oid, table)
  if (table.relkind !== 'p') return [{ oid, table }]
  const { rows } = await runner.query(HOME, partitionsSql, [oid])
  const parts: Part[] = []
  for (const [partOid, attach] of rows) {
    const part = await factsOf(runner, partOid!, `a partition of ${table.qualified}`)
    parts.push({ oid: partOid!, table: part, attach: attach! })
  }
  return [...parts, { oid, table }]
}

async function heirsOf(runner: ShardRunner, oid: string, table: TableFacts): Promise<readonly Part[]> {
  const { rows } = await runner.query(HOME, heirsSql, [oid])
  const parts: Part[] = []
  for (const [heirOid, other] of rows) {
    const heir = await factsOf(runner, heirOid!, `an heir of ${table.qualified}`)
    if (other != null) checks.refuseOtherParent(heir, other)
    parts.push({ oid: heirOid!, table: heir })
  }
  return [...parts, { oid, table }]
}

async function factsOf(runner: ShardRunner, oid: string, what: string): Promise<TableFacts> {
  const facts = await readFacts(runner, oid)
  if (facts === undefined) throw weftError('internal', { what: `${what} is gone` })
  checks.checkShape(facts)
  return facts
}

/** Only those have rows. */
const hasRows = ({ table }: Part): boolean => table.relkind !== 'p' && !table.blank

/**
 * Shards a table on home, and its partitions with it. Each is made on the other shards by itself, rows, indexes and all, and
 * put into its place at the end.
 */
export async function makeSharded(
  runner: ShardRunner,
  { oid, table, next, key }: Member & { readonly next: Sharded; readonly key: checks.CheckedKey },
  parts: readonly Part[],
  slots: Uint16Array,
): Promise<void> {
  const tree = parts.map((part) => ({
    ...part,
    key: checks.checkKey(part.table, key.column),
  }))
  checkTree(tree, next)
  await prepareTree(runner, table, tree)
  for (const part of tree) {
    if (!table.hasHeirs) await createElsewhere(runner, part.oid, part.table)
    if (hasRows(part)) await moveRows(runner, part, slots)
  }
  const params = [oid, String(key.attnum), key.type, groupParam(next)]
  await runner.query(HOME, 'SELECT weft.declare_sharded($1::oid, $2, $3, $4)', params, 'write')
  if (tree.length > 1) await runner.query(HOME, 'SELECT weft.declare_partitions(NULL)', [], 'write')
  for (const part of tree) {
    await finishElsewhere(runner, part.oid)
    // What inherits has it from its parent.
    if (!table.hasHeirs || part.oid === oid) await guard(runner, part, slots)
  }
  if (table.hasHeirs) await checkHeirsAlike(runner, tree)
  const attaches = tree.flatMap(({ attach }) => attach ?? [])
  await runElsewhere(runner, attaches)
}

function checkTree(tree: readonly ShardedPart[], next: Sharded): void {
  const own = new Map<string, Spread>(
    tree.map(({ oid, table, key }) => [oid, shardedMember(oid, table, key, next.colocation).next]),
  )
  const spreadOf = (side: ForeignKeySide): Spread => own.get(side.oid) ?? side.spread
  for (const { oid, table, key } of tree) {
    checks.checkUniques(table, key)
    checks.checkSnapshot(table)
    // Those of the whole are its group's.
    if (tree.at(-1)!.oid !== oid) checks.checkForeignKeys(table.foreignKeys, spreadOf)
  }
}

async function moveRows(
  runner: ShardRunner,
  { oid, table, key }: ShardedPart,
  slots: Uint16Array,
): Promise<void> {
  await quietly(runner, oid, table, 'delete', async () => {
    await checkNoNullKeys(runner, table, key)
    await moveOut(runner, movedTable(table), key, slots)
  })
}

export const movedTable = (table: TableFacts): MovedTable => ({
  name: table.qualified,
  columns: table.columns.filter((c) => !c.generated).map((c) => c.name),
  encoding: table.encoding,
})

/** On every shard; it reads the rows that are there, so that none has been misplaced on the way. */
async function guard(runner: ShardRunner, { table, key }: ShardedPart, slots: Uint16Array): Promise<void> {
  const guarded = { name: table.qualified, keyColumn: quoteName(key.column), keyType: key.type }
  const ranges = slotRanges(slots)
  await onEveryShard(runner, (shard) => {
    const owned = ranges.filter((range) => range.shard === shard)
    return addSlotGuard(guarded, owned)
  })
}

async function checkNoNullKeys(
  runner: ShardRunner,
  table: TableFacts,
  key: checks.CheckedKey,
): Promise<void> {
  const column = quoteName(key.column)
  const sql = `SELECT FROM ONLY ${table.qualified} WHERE ${column} IS NULL LIMIT 1`
  const { rows } = await runner.query(HOME, sql)
  if (rows.length > 0) throw weftError('key_null', { table: table.name, column: key.column })
}
