import { PgError } from '../../../errors/pg-error.ts'
import { type Privilege, privilegeChanges } from '../../../sql/install/privilege-changes.ts'
import {
  namedRelationsQuery,
  relationNamesQuery,
  writtenRelationsQuery,
} from '../../../sql/install/shared-changes.ts'
import { enumLabelsQuery, sharedQueries, typesOfTableQuery } from '../../../sql/install/shared-ddl.ts'
import { quoteLiteral } from '../../../sql/plan/utility/text.ts'
import { whereItCanBe } from '../../../sql/plan/utility/wrap.ts'
import { textArray } from '../quote.ts'
import type { ShardRunner } from '../shards/shard-runner.ts'

const HOME = 0
const TYPES: ReadonlySet<string> = new Set(['TYPE', 'DOMAIN'])
const DEPENDED_ON = '2BP01'

interface Shared {
  readonly kind: string
  readonly name: string
  readonly create: string
  readonly own: string
  /** Grantee, privilege, whether it can be handed on. */
  readonly privileges: readonly Privilege[]
  /** The transaction has written it. */
  readonly isWritten: boolean
}
type SharedByName = ReadonlyMap<string, Shared>

/**
 * Gives the other shards the schemas, extensions, collations, types and functions that the home shard has: code has made,
 * changed or dropped some, of which nothing was seen but that it ran there. What is made of a local table stays where that
 * is. `replaced`: kinds of which some may be gone. Answers what could not be given; undefined: all is well. Wants
 * portable settings (portable-settings.ts).
 */
export async function mirrorShared(
  runner: ShardRunner,
  replaced: ReadonlySet<string>,
): Promise<string | undefined> {
  const wanted = await sharedOn(runner, HOME)
  const labels = await labelsOn(runner, HOME)
  for (let shard = HOME + 1; shard < runner.shardCount; shard++) {
    const there = await sharedOn(runner, shard)
    await runAll(runner, shard, [...dropsOf(wanted, there, replaced), ...createsOf(wanted, there)])
    await runAll(runner, shard, newLabels(labels, await labelsOn(runner, shard)))
    const held = await makeTypesAnew(runner, shard, wanted)
    if (held !== undefined) return held
    const made = await sharedOn(runner, shard)
    await runAll(runner, shard, rightsOf(wanted, made))
    const differs = different(wanted, await sharedOn(runner, shard))
    if (differs !== undefined) return differs
  }
}

/** The same for owners and privileges of tables, views and sequences that others have, too. */
export async function mirrorRelations(
  runner: ShardRunner,
  replaced: ReadonlySet<string>,
): Promise<string | undefined> {
  const wanted = byName((await runner.query(HOME, writtenRelationsQuery)).rows)
  const names = textArray([...wanted.values()].map(({ name }) => name))
  const on = async (shard: number) => byName((await runner.query(shard, namedRelationsQuery, [names])).rows)
  for (let shard = HOME + 1; shard < runner.shardCount; shard++) {
    await runAll(runner, shard, rightsOf(wanted, await on(shard)))
    const differs = different(wanted, await on(shard))
    if (differs !== undefined) return differs
    const gone = replaced.has('TABLE') ? await goneOnHome(runner, shard) : undefined
    if (gone !== undefined) return gone
  }
}

/** It is there still. */
async function goneOnHome(runner: ShardRunner, shard: number): Promise<string | undefined> {
  const home = new Set((await runner.query(HOME, relationNamesQuery)).rows.map(([name]) => name))
  const { rows } = await runner.query(shard, relationNamesQuery)
  const name = rows.map(([found]) => found!).find((found) => !home.has(found))
  return name && `TABLE ${name}`
}

/** The types of a table's columns, and what those are made of. */
export async function mirrorTypesOf(runner: ShardRunner, oid: string): Promise<void> {
  const { rows } = await runner.query(HOME, typesOfTableQuery, [oid])
  const names = new Set(rows.map(([name]) => name))
  const isNeeded = ({ kind, name }: Shared): boolean => /^(TYPE|DOMAIN)$/.test(kind) && names.has(name)
  const wanted = new Map([...(await sharedOn(runner, HOME))].filter(([, shared]) => isNeeded(shared)))
  if (wanted.size === 0) return
  for (let shard = HOME + 1; shard < runner.shardCount; shard++) {
    await runAll(runner, shard, createsOf(wanted, await sharedOn(runner, shard)))
  }
}

async function runAll(runner: ShardRunner, shard: number, sqls: readonly string[]): Promise<void> {
  for (const sql of sqls) await runner.query(shard, sql, [], 'write')
}

async function sharedOn(runner: ShardRunner, shard: number): Promise<SharedByName> {
  const found = new Map<string, Shared>()
  for (const sql of sharedQueries) {
    const { rows } = await runner.query(shard, sql)
    for (const shared of byName(rows)) found.set(...shared)
  }
  return found
}

function byName(rows: readonly (readonly (string | null)[])[]): SharedByName {
  const listed = rows.map(([kind, name, create, own, privileges, isWritten, ofColumns = '[]']) => {
    const all = [...(JSON.parse(privileges!) as Privilege[]), ...(JSON.parse(ofColumns!) as Privilege[])]
    return {
      kind: kind!,
      name: name!,
      create: create!,
      own: own!,
      privileges: all,
      isWritten: isWritten === 't',
    }
  })
  return new Map(listed.map((shared) => [`${shared.kind} ${shared.name}`, shared]))
}

/** Of what the transaction has written: to the owner on home first, who gives the rest. */
function rightsOf(wanted: SharedByName, there: SharedByName): string[] {
  return [...wanted].flatMap(([key, shared]) => {
    const known = there.get(key)
    if (known === undefined || !shared.isWritten) return []
    const { kind, name } = shared
    const owner = shared.own === known.own ? [] : [shared.own]
    return [...owner, ...privilegeChanges(kind, name, shared.privileges, known.privileges)]
  })
}

/** Of two that are there. Functions are made anew wherever they differ; of an enum nothing shows but its labels. */
function different(wanted: SharedByName, there: SharedByName): string | undefined {
  const found = [...wanted].find(([key, shared]) => {
    const known = there.get(key)
    if (known === undefined) return false
    if (known.create !== shared.create) return true
    if (!shared.isWritten) return false
    return (
      known.own !== shared.own || privilegeChanges('', '', shared.privileges, known.privileges).length > 0
    )
  })
  return found?.[0]
}

function createsOf(wanted: SharedByName, there: SharedByName): string[] {
  return [...wanted].flatMap(([key, { kind, create, own }]) => {
    const known = there.get(key)
    if (known === undefined) return [create, own].filter((sql) => sql !== '').map(whereItCanBe)
    const isRoutine = kind === 'FUNCTION' || kind === 'PROCEDURE'
    return isRoutine && known.create !== create ? [whereItCanBe(create)] : []
  })
}

/** What was swapped for another of its name, or changed. Answers the one that something on that shard is made of. */
async function makeTypesAnew(
  runner: ShardRunner,
  shard: number,
  wanted: SharedByName,
): Promise<string | undefined> {
  const there = await sharedOn(runner, shard)
  const changed = [...wanted].filter(([key, { kind, create }]) => {
    const known = there.get(key)
    return TYPES.has(kind) && known !== undefined && known.create !== create
  })
  for (const [key, { kind, name }] of changed.toReversed()) {
    try {
      await runner.query(shard, `DROP ${kind} ${name}`, [], 'write')
    } catch (error) {
      if (error instanceof PgError && error.code === DEPENDED_ON) return key
      throw error
    }
  }
  await runAll(
    runner,
    shard,
    changed.flatMap(([, { create, own }]) => [create, own]),
  )
}

/** Last made first: functions, then the types that they were made of. */
function dropsOf(wanted: SharedByName, there: SharedByName, replaced: ReadonlySet<string>): string[] {
  const extra = [...there].filter(([key, { kind }]) => replaced.has(kind) && !wanted.has(key))
  return extra.toReversed().map(([, { kind, name }]) => `DROP ${kind} IF EXISTS ${name}`)
}

async function labelsOn(runner: ShardRunner, shard: number): Promise<ReadonlyMap<string, readonly string[]>> {
  const { rows } = await runner.query(shard, enumLabelsQuery)
  return new Map(rows.map(([name, labels]) => [name!, JSON.parse(labels!) as string[]]))
}

function newLabels(
  wanted: ReadonlyMap<string, readonly string[]>,
  there: ReadonlyMap<string, readonly string[]>,
): string[] {
  return [...there].flatMap(([type, known]) => {
    const all = wanted.get(type) ?? []
    return all.flatMap((label, i) => (known.includes(label) ? [] : [addLabel(type, all, known, i)]))
  })
}

/** Behind the one before it, which is there by then. */
function addLabel(type: string, all: readonly string[], known: readonly string[], i: number): string {
  const next = i === 0 ? all.find((label) => known.includes(label)) : undefined
  const before = next === undefined ? '' : ` BEFORE ${quoteLiteral(next)}`
  const place = i > 0 ? ` AFTER ${quoteLiteral(all[i - 1]!)}` : before
  return `ALTER TYPE ${type} ADD VALUE ${quoteLiteral(all[i]!)}${place}`
}
