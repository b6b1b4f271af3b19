import { weftError } from '../../../errors/catalog.ts'
import { PgError } from '../../../errors/pg-error.ts'
import type { Catalog, KeyType } from '../../../sql/catalog.ts'
import { dropSlotGuard } from '../../../sql/install/slot-guard.ts'
import type { Declaration } from '../../../sql/plan/plan.ts'
import { HOME, shardsBesideHome } from '../context.ts'
import { quoteName } from '../quote.ts'
import { withPortableSettings } from '../settings/portable-settings.ts'
import type { ShardRunner } from '../shards/shard-runner.ts'
import type { CheckedKey } from './declare-checks.ts'
import * as checks from './declare-checks.ts'
import { baseTypeSql, type ForeignKeySide, readFacts, type Spread, type TableFacts } from './declare-facts.ts'
import { findTogether, type Member, shardedMember, withoutKeysBetween } from './declare-group.ts'
import { makeReference } from './make-reference.ts'
import { makeSharded, movedTable, type Part, treeOf } from './make-sharded.ts'
import { moveBack } from './move-rows.ts'
import { dropElsewhere, quietly } from './table-elsewhere.ts'

/**
 * Makes a table sharded or a reference table, or takes it back, inside the session's transaction: either all shards
 * have it with the commit, or nothing changed. The caller raises the map version. The table is locked against
 * everybody, first on home; its rows are those that were committed before, and the transaction's own.
 */
export async function declareTable(
  declaration: Declaration,
  runner: ShardRunner,
  catalog: Catalog,
  session: { readonly searchPath: readonly string[]; readonly mayWait?: boolean },
): Promise<Declared> {
  const oid = await findTable(runner, declaration, session.searchPath)
  const group = declaration.kind === 'sharded' ? await findGroup(runner, declaration.colocateWith) : undefined
  // Changes of the map go one after the other; taken before the table's lock, so that two of them can't deadlock.
  await runner.query(HOME, 'SELECT weft.lock_map()', [], 'write')
  return withPortableSettings(runner, async () => {
    const table = await lockedFacts(runner, oid)
    if (declaration.kind === 'undistribute') return undistribute(runner, oid, table)
    if (table.spread.kind !== 'local') return alreadyDeclared(declaration, table)
    const member = memberOf(oid, table, declaration, group)
    const together = await findTogether(runner, member, lockedFacts)
    if (together.kind === 'ready') return makeAll(runner, together.members, catalog.slots)
    if (session.mayWait !== true) checks.checkForeignKeys(table.foreignKeys, together.spreadOf)
    return wait(runner, member, together.partner)
  })
}

/** What became of a declaration; `waitsFor`: it is kept, and carried out with that of this table. */
export interface Declared {
  readonly waitsFor?: string
}

function memberOf(
  oid: string,
  table: TableFacts,
  declaration: Exclude<Declaration, { kind: 'undistribute' }>,
  group: Group | undefined,
): Member {
  if (declaration.kind === 'reference') return { oid, table, next: { kind: 'reference' } }
  const key = checks.checkKey(table, declaration.keyColumn)
  return shardedMember(oid, table, key, chooseColocation(group, key))
}

async function wait(runner: ShardRunner, member: Member, partner: string): Promise<Declared> {
  const { oid, next } = member
  const params =
    next.kind === 'sharded' ? [oid, String(next.keyAttnum), String(next.colocation)] : [oid, null, null]
  await runner.query(HOME, 'SELECT weft.wait_for_partner($1::oid, $2::int, $3::int)', params, 'write')
  return { waitsFor: partner }
}

/** All tables of a group in one transaction; between them no foreign key stands in the way meanwhile. */
async function makeAll(
  runner: ShardRunner,
  members: readonly Member[],
  slots: Uint16Array,
): Promise<Declared> {
  const trees = new Map<Member, readonly Part[]>()
  for (const member of members) trees.set(member, await treeOf(runner, member.oid, member.table))
  const all = [...trees.values()]
  const keys = {
    tables: all.flat().map(({ oid }) => oid),
    byTable: all.some((tree) => tree.length > 1),
    dropOn: [HOME],
    addOn: [HOME, ...shardsBesideHome(runner.shardCount)],
  }
  await withoutKeysBetween(runner, keys, async () => {
    for (const member of members) await makeOne(runner, member, trees.get(member)!, slots)
  })
  return {}
}

function makeOne(
  runner: ShardRunner,
  { oid, table, next, key }: Member,
  tree: readonly Part[],
  slots: Uint16Array,
): Promise<void> {
  if (next.kind === 'sharded' && key !== undefined)
    return makeSharded(runner, { oid, table, next, key }, tree, slots)
  return makeReference(runner, oid, table, tree)
}

/** The table's OID on home, by name; temporary tables come first, as in Postgres. */
async function findTable(
  runner: ShardRunner,
  declaration: Declaration,
  searchPath: readonly string[],
): Promise<string> {
  const { schema, table } = declaration
  const name = schema === undefined ? quoteName(table) : `${quoteName(schema)}.${quoteName(table)}`
  const { rows } = await runner.query(HOME, 'SELECT pg_catalog.to_regclass($1)::pg_catalog.oid', [name])
  const oid = rows[0]?.[0]
  if (typeof oid === 'string') return oid
  throw new PgError({
    code: '42P01',
    message: `relation "${schema === undefined ? table : `${schema}.${table}`}" does not exist`,
    detail: schema === undefined ? `The search path is ${searchPath.join(', ') || 'empty'}.` : undefined,
  })
}

/** Checks before the lock, so that it can't be used against other people's tables, and reads again under it. */
async function lockedFacts(runner: ShardRunner, oid: string): Promise<TableFacts> {
  const before = await readFacts(runner, oid)
  if (before !== undefined) {
    checks.checkOrdinary(before)
    await runner.query(HOME, `LOCK TABLE ${before.qualified} IN ACCESS EXCLUSIVE MODE`, [], 'write')
  }
  const table = await readFacts(runner, oid)
  if (table === undefined || table.qualified !== before?.qualified) {
    throw new PgError({ code: '40001', message: 'the table was renamed or dropped by another transaction' })
  }
  checks.checkOrdinary(table)
  return table
}

function alreadyDeclared(declaration: Declaration, table: TableFacts): Declared {
  if (declaration.kind !== 'undistribute' && declaration.ifNotExists === true) return {}
  throw new PgError({
    code: '42P07',
    message: `table "${table.name}" is already distributed`,
    hint: 'undistribute_table(…) makes it a local table again.',
  })
}

async function undistribute(runner: ShardRunner, oid: string, table: TableFacts): Promise<Declared> {
  const { kind } = table.spread
  if (kind === 'local') {
    if (await stopsWaiting(runner, oid)) return {}
    throw new PgError({ code: '55000', message: `table "${table.name}" is not distributed` })
  }
  const tree = await treeOf(runner, oid, table)
  const own = new Set(tree.map((part) => part.oid))
  const spreadOf = (side: ForeignKeySide): Spread => (own.has(side.oid) ? { kind: 'local' } : side.spread)
  for (const part of tree) checks.checkForeignKeys(part.table.foreignKeys, spreadOf)
  checks.checkSnapshot({ ...table, blank: false })
  for (let shard = HOME + 1; shard < runner.shardCount; shard++) {
    await runner.query(shard, `LOCK TABLE ${table.qualified} IN ACCESS EXCLUSIVE MODE`, [], 'write')
  }
  const others = shardsBesideHome(runner.shardCount)
  const keys = { tables: [...own], byTable: tree.length > 1, dropOn: [HOME, ...others], addOn: [HOME] }
  await withoutKeysBetween(runner, keys, async () => {
    if (kind === 'sharded') {
      // A child that was sharded by itself has the constraint as its own, too.
      const guarded = table.hasHeirs ? tree.toReversed() : [{ table }]
      for (const part of guarded) await runner.query(HOME, dropSlotGuard(part.table.qualified), [], 'write')
      for (const part of tree) if (part.table.relkind !== 'p') await bringBack(runner, part)
    }
    await dropElsewhere(runner, tree)
  })
  for (const part of tree) await runner.query(HOME, 'SELECT weft.undeclare($1::oid)', [part.oid], 'write')
  return {}
}

async function bringBack(runner: ShardRunner, { oid, table }: Part): Promise<void> {
  await quietly(runner, oid, table, 'insert', () => moveBack(runner, movedTable(table)))
}

/** A declaration that waits for its partner is taken back. */
async function stopsWaiting(runner: ShardRunner, oid: string): Promise<boolean> {
  const waits = await runner.query(HOME, 'SELECT FROM weft.waiting w WHERE w.relid = $1::oid', [oid])
  if (waits.rows.length === 0) return false
  await runner.query(HOME, 'SELECT weft.undeclare($1::oid)', [oid], 'write')
  return true
}

/** What `colocate_with` asks for; undefined is the default group of the key's type. */
type Group =
  | { readonly kind: 'new' }
  | { readonly kind: 'of'; readonly table: string; readonly number: number; readonly keyType: KeyType }

export async function findGroup(
  runner: ShardRunner,
  colocateWith: string | undefined,
): Promise<Group | undefined> {
  if (colocateWith === undefined || colocateWith === 'default') return undefined
  if (colocateWith === 'none') return { kind: 'new' }
  const { rows } = await runner.query(
    HOME,
    `SELECT r.colocation, r.key_type FROM weft.relation r WHERE r.relid = to_regclass($1) AND r.kind = 'sharded'`,
    [colocateWith],
  )
  const [number, keyType] = rows[0] ?? (await waitingGroup(runner, colocateWith))
  if (typeof number === 'string' && typeof keyType === 'string') {
    return { kind: 'of', table: colocateWith, number: Number(number), keyType: keyType as KeyType }
  }
  throw new PgError({ code: '42809', message: `colocate_with: "${colocateWith}" is not a sharded table` })
}

/** Of a table that waits to be sharded. */
async function waitingGroup(runner: ShardRunner, table: string): Promise<readonly (string | null)[]> {
  const { rows } = await runner.query(
    HOME,
    `SELECT w.colocation, ${baseTypeSql('a.atttypid')} FROM weft.waiting w
     JOIN pg_attribute a ON a.attrelid = w.relid AND a.attnum = w.key_attnum WHERE w.relid = to_regclass($1)`,
    [table],
  )
  const [number = null, base] = rows[0] ?? []
  const type = checks.keyTypeOf(base)
  return type === undefined ? [] : [number ?? String(checks.defaultColocation(type)), type]
}

/** The group's number; undefined for a new one. */
function chooseColocation(group: Group | undefined, key: CheckedKey): number | undefined {
  if (group === undefined) return checks.defaultColocation(key.type)
  if (group.kind === 'new') return undefined
  if (checks.sameFamily(key.type, group.keyType)) return group.number
  throw weftError('not_supported', {
    id: 'colocated_key_types',
    what:
      `column "${key.column}" (${key.type}) cannot be colocated with ${group.table}, ` +
      `whose shard key is ${group.keyType}`,
    hint: 'Colocated tables need shard keys of the same type.',
  })
}
