import { enumLabelsQuery, sharedQueries, typesOfTableQuery } from '../../sql/install/shared-ddl.ts'
import { quoteLiteral } from '../../sql/plan/utility/text.ts'
import { whereItCanBe } from '../../sql/plan/utility/wrap.ts'
import type { ShardRunner } from './shard-runner.ts'

const HOME = 0

interface Shared {
  readonly kind: string
  readonly name: string
  readonly create: string
  readonly own: string
}

/**
 * Gives the other shards the schemas, types and functions that the home shard has: code has made or dropped some, of which
 * nothing was seen but that it ran there. What is made of a local table stays where that is. Wants portable settings
 * (portable-settings.ts).
 */
export async function mirrorShared(runner: ShardRunner): Promise<void> {
  const wanted = await sharedOn(runner, HOME)
  const labels = await labelsOn(runner, HOME)
  for (let shard = HOME + 1; shard < runner.shardCount; shard++) {
    const there = await sharedOn(runner, shard)
    await runAll(runner, shard, [...dropsOf(wanted, there), ...createsOf(wanted, there)])
    await runAll(runner, shard, newLabels(labels, await labelsOn(runner, shard)))
  }
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

async function sharedOn(runner: ShardRunner, shard: number): Promise<ReadonlyMap<string, Shared>> {
  const found = new Map<string, Shared>()
  for (const sql of sharedQueries) {
    const { rows } = await runner.query(shard, sql)
    for (const [kind, name, create, own] of rows) {
      found.set(`${kind} ${name}`, { kind: kind!, name: name!, create: create!, own: own! })
    }
  }
  return found
}

function createsOf(wanted: ReadonlyMap<string, Shared>, there: ReadonlyMap<string, Shared>): string[] {
  return [...wanted].flatMap(([key, { kind, create, own }]) => {
    const known = there.get(key)
    if (known === undefined) return [whereItCanBe(create), whereItCanBe(own)]
    const isRoutine = kind === 'FUNCTION' || kind === 'PROCEDURE'
    return isRoutine && known.create !== create ? [whereItCanBe(create)] : []
  })
}

/** Last made first: functions, then the types that they were made of. */
function dropsOf(wanted: ReadonlyMap<string, Shared>, there: ReadonlyMap<string, Shared>): string[] {
  const extra = [...there].filter(([key, { kind }]) => kind !== 'SCHEMA' && !wanted.has(key))
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
