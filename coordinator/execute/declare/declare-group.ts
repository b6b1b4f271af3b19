import { PgError } from '../../../errors/pg-error.ts'
import { keysBetweenQuery } from '../../../sql/install/table-ddl.ts'
import type { ShardRunner } from '../shards/shard-runner.ts'
import {
  type CheckedKey,
  checkForeignKeys,
  checkKey,
  defaultColocation,
  missingPartner,
  type SpreadOf,
} from './declare-checks.ts'
import type { ForeignKeyFacts, ForeignKeySide, Spread, TableFacts } from './declare-facts.ts'

/**
 * Tables that foreign keys tie together change their place together: a key between a local table and a distributed one
 * could be checked by nobody. Whichever is declared first waits, as a local table that is whole and checked by Postgres;
 * the last one's declaration carries all of them out (docs/decisions/0013-foreign-keys-and-declarations.md).
 */

const HOME = 0

/** A local table with how it is to be spread. */
export interface Member {
  readonly oid: string
  readonly table: TableFacts
  readonly next: Spread
  /** Sharded only. */
  readonly key?: CheckedKey
}

/** A group of its own, that has no number yet; weft.wait_for_partner takes it so, too. */
const NEW_GROUP = 0

/** `colocation`: undefined for a new group. */
export function shardedMember(
  oid: string,
  table: TableFacts,
  key: CheckedKey,
  colocation: number | undefined,
): Member {
  const next = { kind: 'sharded', keyAttnum: key.attnum, keyType: key.type } as const
  return { oid, table, key, next: { ...next, colocation: colocation ?? NEW_GROUP } }
}

/** The group as functions of schema weft take it. */
export function groupParam({ colocation }: Extract<Spread, { kind: 'sharded' }>): string | null {
  return colocation === NEW_GROUP ? null : String(colocation)
}

export type Together =
  /** To be carried out at once, in this transaction. */
  | { readonly kind: 'ready'; readonly members: readonly Member[] }
  /** A foreign key with this table, which is local and not declared, stands in the way. */
  | { readonly kind: 'waits'; readonly partner: string; readonly spreadOf: SpreadOf }

/** Throws when the keys could not be checked however long it waits. `facts` locks a table and reads about it. */
export async function findTogether(
  runner: ShardRunner,
  member: Member,
  facts: (runner: ShardRunner, oid: string) => Promise<TableFacts>,
): Promise<Together> {
  const members = new Map([[member.oid, member]])
  // Grows while it is gone through: what waits for one of those that wait.
  for (const { table } of members.values()) {
    for (const { oid } of table.foreignKeys.flatMap((key) => [key.from, key.to])) {
      const waiting = members.has(oid) ? undefined : await waitingAs(runner, oid)
      if (waiting !== undefined) members.set(oid, asMember(oid, await facts(runner, oid), waiting))
    }
  }
  return sortOut(member, members)
}

/** Pure: which of them can be distributed now, of those that hang together with the one that was declared. */
export function sortOut(member: Member, members: Map<string, Member>): Together {
  const spreadOf = (side: ForeignKeySide): Spread => members.get(side.oid)?.next ?? side.spread
  /** By the table that has to wait: the one that is to be declared for it. */
  const partners = new Map<string, string>()
  for (let before = -1; before !== members.size; ) {
    before = members.size
    for (const { oid, table } of [...members.values()]) {
      const missing = firstMissing(table.foreignKeys, spreadOf)
      if (missing === undefined) continue
      partners.set(oid, partners.get(missing.oid) ?? missing.table)
      // One that has to wait further is a local table for the others.
      if (oid !== member.oid) members.delete(oid)
    }
  }
  const partner = partners.get(member.oid)
  if (partner === undefined) return { kind: 'ready', members: checked(connected(member, members), spreadOf) }
  const settled = member.table.foreignKeys.filter((key) => missingPartner(key, spreadOf) === undefined)
  checkForeignKeys(settled, spreadOf)
  return { kind: 'waits', partner, spreadOf }
}

function checked(members: readonly Member[], spreadOf: SpreadOf): readonly Member[] {
  for (const { table } of members) checkForeignKeys(table.foreignKeys, spreadOf)
  return members
}

function firstMissing(keys: readonly ForeignKeyFacts[], spreadOf: SpreadOf): ForeignKeySide | undefined {
  for (const key of keys) {
    const missing = missingPartner(key, spreadOf)
    if (missing !== undefined) return missing
  }
  return undefined
}

function connected(member: Member, members: ReadonlyMap<string, Member>): Member[] {
  const found = new Set([member])
  for (const { table } of found) {
    for (const { oid } of table.foreignKeys.flatMap((key) => [key.from, key.to])) {
      const other = members.get(oid)
      if (other !== undefined) found.add(other)
    }
  }
  return [...found]
}

interface Waiting {
  readonly keyAttnum: number | undefined
  readonly colocation: number | undefined
}

async function waitingAs(runner: ShardRunner, oid: string): Promise<Waiting | undefined> {
  const sql = 'SELECT w.key_attnum, w.colocation FROM weft.waiting w WHERE w.relid = $1::oid'
  const { rows } = await runner.query(HOME, sql, [oid])
  if (rows[0] === undefined) return undefined
  const [keyAttnum, colocation] = rows[0].map((value) => (value === null ? undefined : Number(value)))
  return { keyAttnum, colocation }
}

function asMember(oid: string, table: TableFacts, { keyAttnum, colocation }: Waiting): Member {
  if (keyAttnum === undefined) return { oid, table, next: { kind: 'reference' } }
  const column = table.columns.find((c) => c.attnum === keyAttnum)
  if (column === undefined) {
    throw new PgError({
      code: '42703',
      message: `the shard key that table "${table.name}" was declared with does not exist any more`,
      hint: `Declare ${table.qualified} anew.`,
    })
  }
  const key = checkKey(table, column.name)
  return shardedMember(oid, table, key, colocation ?? defaultColocation(key.type))
}

/** Tables that change their place together, and on which shards foreign keys between them are dropped and made again. */
export interface KeysBetween {
  readonly tables: readonly string[]
  /** Rows come table by table: what one has may refer to what another has not yet, also of a table to itself. */
  readonly byTable: boolean
  readonly dropOn: readonly number[]
  readonly addOn: readonly number[]
}

/** Drops the foreign keys between the tables meanwhile; they come back, checked. */
export async function withoutKeysBetween(
  runner: ShardRunner,
  { tables, byTable, dropOn, addOn }: KeysBetween,
  work: () => Promise<void>,
): Promise<void> {
  const params = [`{${tables.join()}}`, String(byTable)]
  const keys = tables.length < 2 ? [] : (await runner.query(HOME, keysBetweenQuery, params)).rows
  const onEach = async (shards: readonly number[], sqls: readonly (string | null | undefined)[]) => {
    for (const sql of sqls)
      for (const shard of sql ? shards : []) await runner.query(shard, sql!, [], 'write')
  }
  await onEach(
    dropOn,
    keys.map(([drop]) => drop),
  )
  await work()
  await onEach(
    addOn,
    keys.flatMap(([, add]) => add),
  )
  await onEach(
    addOn,
    keys.flatMap(([, , comment]) => comment),
  )
}
