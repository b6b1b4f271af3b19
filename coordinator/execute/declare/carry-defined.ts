import { weftError } from '../../../errors/catalog.ts'
import type { PgError } from '../../../errors/pg-error.ts'
import { type CatalogWrites, isCarried } from '../../../sql/code/catalog-writes.ts'
import { heldObjectsQuery } from '../../../sql/install/held-objects.ts'
import { type WrittenAs, writtenQuery } from '../../../sql/install/shared-changes.ts'
import { type ExecContext, HOME, shardsBesideHome } from '../context.ts'
import { quoteTable, textArray } from '../quote.ts'
import { withPortableSettings } from '../settings/portable-settings.ts'
import { queryShard } from '../shards/send.ts'
import { SessionRunner } from '../shards/session-runner.ts'
import type { ShardLine } from '../shards/shard-line.ts'
import { mirrorRelations, mirrorShared } from './mirror-shared.ts'

interface Written {
  readonly as: WrittenAs
  readonly what: string
  readonly name: string
}

/** Kinds of `sharedQueries`, and TABLE for relations, by the catalog that has them. */
const KINDS_OF: Readonly<Record<string, readonly string[]>> = {
  pg_namespace: ['SCHEMA'],
  pg_extension: ['EXTENSION'],
  pg_collation: ['COLLATION'],
  pg_type: ['TYPE', 'DOMAIN'],
  pg_proc: ['FUNCTION', 'PROCEDURE'],
  pg_class: ['TABLE'],
}
/** Plans, or what is known of code, depend on these. */
const IN_CATALOG: ReadonlySet<string> = new Set([
  ...['schema', 'extension', 'domain', 'function', 'trigger', 'policy', 'rule'],
])

/**
 * What code has defined where it ran, and other shards need: schemas, extensions, collations, types, functions, owners and
 * privileges are given to them, as home has them now; anything else is refused (docs/decisions/0030-what-code-defines.md).
 */
export async function carryDefined(
  ctx: ExecContext,
  tag: string,
  line: ShardLine,
  writes: CatalogWrites,
): Promise<void> {
  const written = await writtenOn(ctx, line)
  const isApart = [...writes.written].some((catalog) => !isCarried(catalog))
  const stuck = written.find(({ as }) => line.shard !== HOME || (isApart && as === 'apart'))
  if (stuck !== undefined) throw notCarried(tag, `${stuck.what} "${stuck.name}"`)
  const lost = [...writes.removed].find((catalog) => isLost(catalog, line, writes.removed))
  if (lost !== undefined) throw notCarried(tag, `what ${lost} has`)
  if (line.shard === HOME) await carryFromHome(ctx, tag, written, writes)
}

/** Of tables: what a statement that defines them on every shard writes itself. */
const OF_TABLES: ReadonlySet<string> = new Set([
  ...['pg_type', 'pg_class', 'pg_attribute', 'pg_constraint', 'pg_rewrite', 'pg_trigger', 'pg_policy'],
])

/** Of a statement that runs on every shard by itself: code has defined what it does not. */
export function refuseDefined(tag: string, { written }: CatalogWrites): void {
  const other = [...written].find((catalog) => !OF_TABLES.has(catalog))
  if (other !== undefined) throw notCarried(tag, `what ${other} has`)
}

async function carryFromHome(
  ctx: ExecContext,
  tag: string,
  written: readonly Written[],
  writes: CatalogWrites,
): Promise<void> {
  const replaced = new Set([...writes.replaced].flatMap((catalog) => KINDS_OF[catalog] ?? []))
  const isRelation = (kind: string) => kind === 'TABLE'
  const has = (as: WrittenAs) => written.some((each) => each.as === as)
  const mirrors = [
    ...(has('carried') || [...replaced].some((kind) => !isRelation(kind)) ? [mirrorShared] : []),
    ...(has('relation') || replaced.has('TABLE') ? [mirrorRelations] : []),
  ]
  if (mirrors.length === 0) return
  const runner = new SessionRunner(ctx)
  await withPortableSettings(runner, async () => {
    for (const mirror of mirrors) {
      const differs = await mirror(runner, replaced)
      if (differs !== undefined) throw notCarried(tag, differs)
    }
    const held = HELD.some((kind) => replaced.has(kind)) ? await heldOtherwise(ctx, runner) : undefined
    if (held !== undefined) throw notCarried(tag, held)
  })
  if (!written.some(({ what }) => IN_CATALOG.has(what)) && !replaced.has('FUNCTION')) return
  ctx.tx.mapChanged = true
  ctx.tx.catalogDirty = true
}

/** Of these, columns, defaults and triggers hold one that was renamed, whatever has its name now. */
const HELD = ['FUNCTION', 'TYPE', 'DOMAIN']

async function heldOtherwise(ctx: ExecContext, runner: SessionRunner): Promise<string | undefined> {
  const { distributed } = await ctx.catalog()
  const names = textArray(distributed.map(quoteTable))
  const on = async (shard: number) =>
    (await runner.query(shard, heldObjectsQuery, [names])).rows.map(([what]) => what!)
  const home = new Set(await on(HOME))
  for (const shard of shardsBesideHome(ctx.node.shardCount)) {
    const other = (await on(shard)).find((what) => !home.has(what))
    if (other !== undefined) return `a name that others hold (${other})`
  }
}

async function writtenOn(ctx: ExecContext, line: ShardLine): Promise<readonly Written[]> {
  const options = { writes: false, looks: false, asItIs: true }
  const { rows } = await queryShard(ctx, line, writtenQuery, [], options)
  return rows.map((row) => {
    const [as = '', what = '', name = ''] = row.map((value) => value?.toString('utf8'))
    return { as: as as WrittenAs, what, name }
  })
}

/** What is gone cannot be told from what was temporary; extensions and ranges take what is theirs along. */
function isLost(catalog: string, line: ShardLine, removed: ReadonlySet<string>): boolean {
  if (isCarried(catalog)) return line.shard !== HOME && ['pg_namespace', 'pg_proc'].includes(catalog)
  return !removed.has('pg_extension') && !(catalog === 'pg_cast' && removed.has('pg_range'))
}

function notCarried(tag: string, what: string): PgError {
  return weftError('not_supported', {
    id: 'code_reaches_shards',
    what: `code that this ${tag} runs has made or changed ${what}, which is not supported: it would be so on one shard only`,
    hint: 'Run that statement by itself, from the client.',
  })
}
