import { weftError } from '../../../errors/catalog.ts'
import type { PgError } from '../../../errors/pg-error.ts'
import type { Refused } from '../../../errors/refusals/refusals.ts'
import type { Catalog } from '../../../sql/catalog.ts'
import { CATALOG, catalogWrites, SHARED_CATALOGS } from '../../../sql/code/catalog-writes.ts'
import {
  BESIDE,
  changedUnlike,
  LINK,
  type Looked,
  type Overreach,
  overreach,
  type Reach,
  type Uses,
} from '../../../sql/code/overreach.ts'
import type { PlanCommon } from '../../../sql/plan/plan.ts'
import { tableName } from '../../../sql/plan/reach.ts'
import { doBlock } from '../../../sql/plan/utility/wrap.ts'
import { quoteLiteral } from '../../settings/settings-sql.ts'
import { type ExecContext, HOME } from '../context.ts'
import { queryShard } from '../shards/send.ts'
import { settleAll } from '../shards/settle-all.ts'
import type { ShardLine } from '../shards/shard-line.ts'
import { carryDefined, refuseDefined } from './carry-defined.ts'

/**
 * Runs a statement whose code may read or write tables that it does not name, and looks at what its backends have locked
 * and counted: of a sharded table that code has seen a part, of a reference table it has changed one copy, and the
 * statement fails. What it has defined is given to the other shards. It runs in a transaction, so nothing is half done.
 */
export async function runReaching<T>(
  ctx: ExecContext,
  { commits, tag }: Pick<PlanCommon, 'commits' | 'tag'>,
  reach: Reach,
  work: () => Promise<T>,
): Promise<T> {
  if (commits === 'within' && !ctx.tx.isOpen) throw weftError('not_supported', unseen(tag))
  const isOwn = !ctx.tx.isOpen
  await ctx.needTransaction()
  const catalog = await ctx.catalog()
  const { kinds, ordinary, defining } = lookOf(catalog)
  const look = reach.defines !== undefined ? defining : ordinary
  if (isOwn) ctx.tx.undecided = () => openNoted(ctx, look)
  await settleAll(ctx.tx.joined.map((line) => note(ctx, line, look)))
  const done = await noting(ctx, look, work)
  if (catalog.code?.defers !== false || ctx.state.tempCode.length > 0) ctx.tx.deferred = atEnd(ctx, reach)
  const lines = ctx.tx.joined.filter((line) => line.touched)
  const looks = await settleAll(lines.map((line) => lookAfter(ctx, line, look)))
  for (const [i, looked] of looks.entries()) {
    const found = overreach(looked, kinds, reach)
    if (found !== undefined) throw reachError(tag, found)
    const sequence = lines[i]!.shard === HOME ? undefined : drawnFrom(looked)
    if (sequence !== undefined) throw weftError('not_supported', drawnThere(tag, sequence))
  }
  const unlike = reach.onCopies ? changedUnlike(looks, kinds) : undefined
  if (unlike !== undefined) throw reachError(tag, unlike)
  const isEverywhere = lines.some(({ shard }) => shard !== HOME)
  for (const [i, { before, after }] of looks.entries()) {
    const writes = catalogWrites(before, after)
    if (writes.written.size === 0) continue
    if (reach.defines !== undefined && isEverywhere) {
      refuseDefined(tag, writes)
      continue
    }
    await carryDefined(ctx, tag, lines[i]!, writes)
    // What is prepared, and described, is to be looked at again, also when the transaction has ended.
    ctx.node.schema.epoch++
    ctx.tx.ranDdl = true
  }
  return done
}

function atEnd({ tx }: ExecContext, { tables }: Reach): Reach {
  const before = tx.deferred?.tables ?? []
  return { tables: [...new Set([...before, ...tables])], onCopies: false, atEnd: true }
}

/** A note is a query: with BEGIN it would take a snapshot ahead of the cut, so it comes after that. */
async function openNoted(ctx: ExecContext, look: Asked): Promise<void> {
  const { tx } = ctx
  tx.dropReplay(look.note)
  tx.modes = { ...tx.modes, isolation: 'repeatable read' }
  await ctx.admit()
  await settleAll(tx.joined.map((line) => note(ctx, line, look)))
}

/** Shards that join meanwhile begin with a note, too. */
async function noting<T>({ tx }: ExecContext, look: Asked, work: () => Promise<T>): Promise<T> {
  tx.addReplay(look.note)
  try {
    return await work()
  } finally {
    tx.dropReplay(look.note)
  }
}

function unseen(tag: string): Refused {
  return {
    id: 'code_reaches_shards',
    what:
      `${tag} of code that may commit in its midst, and may name any sharded or reference table, or define what every ` +
      'shard has, is not supported',
    hint:
      'Run it in a transaction block, if it does not commit; or name its tables without EXECUTE, and define from the client ' +
      'what it defines.',
  }
}

function reachError(tag: string, { table, kind, did }: Overreach): PgError {
  if (kind === 'shared') return weftError('not_supported', ofServer(tag, table))
  const part = kind === 'sharded' ? 'it would be that of one shard only' : 'it would be one copy only'
  const hint =
    kind === 'sharded'
      ? 'Run its statements from the client, in one transaction.'
      : 'Write the reference table by a statement of its own from the client, in the same transaction.'
  return weftError('not_supported', {
    id: 'code_reaches_shards',
    what: `code that this ${tag} runs ${did === 'perhaps read' ? 'may have read' : `has ${did}`} ${kind} table "${table}", which is not supported: ${part}`,
    hint,
  })
}

/** The sequences of other shards than home are nobody's: they would repeat its numbers. */
function drawnFrom({ before, after }: Looked): string | undefined {
  const drawn = Object.keys(after).find((name) => name.startsWith(DRAWN) && before[name] === undefined)
  return drawn?.slice(DRAWN.length)
}

function drawnThere(tag: string, sequence: string): Refused {
  return {
    id: 'code_reaches_shards',
    what: `code that this ${tag} runs has drawn from sequence "${sequence}" beside sharded rows, which is not supported`,
    hint: 'Make nextval(…) the default of a column, which Weft draws for all shards, or draw it ahead and pass the value.',
  }
}

/** Each shard's server has its own roles, and they must be alike. */
function ofServer(tag: string, table: string): Refused {
  return {
    id: 'code_reaches_shards',
    what:
      `code that this ${tag} runs has changed what belongs to the whole server (${table}), ` +
      'which is not supported: it would be done on one shard only',
    hint: 'Run CREATE ROLE, ALTER ROLE, GRANT and their kin as statements of their own, from the client.',
  }
}

// What backends are asked

interface Look {
  readonly kinds: ReadonlyMap<string, Overreach['kind']>
  readonly ordinary: Asked
  /** Of definitions: foreign keys, which they may drop, are among what is there. */
  readonly defining: Asked
}

interface Asked {
  /** Keeps what is there before the statement, in the transaction. */
  readonly note: string
  /** What was there, what is there, the foreign keys, and the partitions. */
  readonly after: string
}

const NOTED = 'weft.noted'
const DRAWN = 'sequence '
/** Catalogs of the whole server; each change of a role, a membership or a setting of either is a row of one. */
const SHARED = [
  'pg_authid',
  'pg_auth_members',
  'pg_db_role_setting',
  'pg_database',
  'pg_tablespace',
  'pg_shdescription',
  'pg_shseclabel',
  'pg_parameter_acl',
]
const looks = new WeakMap<Catalog, Look>()

function lookOf(catalog: Catalog): Look {
  let look = looks.get(catalog)
  if (look === undefined) {
    look = makeLook(catalog)
    looks.set(catalog, look)
  }
  return look
}

function makeLook({ distributed }: Catalog): Look {
  const names = [
    ...distributed.map(({ schema, name }) => `(${quoteLiteral(schema)}, ${quoteLiteral(name)})`),
    ...SHARED.map((name) => `('pg_catalog', '${name}')`),
  ]
  const tables = `(SELECT c.oid, pg_catalog.concat(n.nspname, '.', c.relname) AS name, c.ctid::text AS place
    FROM (VALUES ${names.join(', ')}) AS d(s, t)
    JOIN pg_catalog.pg_namespace n ON n.nspname = d.s::pg_catalog.name
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = d.t::pg_catalog.name)`
  const uses = usesSql(tables)
  const noteOf = (sql: string) =>
    doBlock(`BEGIN PERFORM pg_catalog.set_config('${NOTED}', ${sql}, true); END`)
  const withKeys = usesSql(tables, ` UNION ALL ${keysSql(tables)}`)
  const afterwards = (sql: string) =>
    `SELECT pg_catalog.current_setting('${NOTED}', true), ${sql}, ${linksSql(tables)}, ${partitionsSql(tables)}`
  return {
    kinds: new Map([
      ...distributed.map((r) => [tableName(r), r.kind as Overreach['kind']] as const),
      ...SHARED.map((name) => [`pg_catalog.${name}`, 'shared'] as const),
    ]),
    ordinary: { note: noteOf(uses), after: afterwards(uses) },
    defining: { note: noteOf(withKeys), after: afterwards(withKeys) },
  }
}

const catalogs = SHARED_CATALOGS.map((name) => `('${name}', 'pg_catalog.${name}'::pg_catalog.regclass)`).join(
  ', ',
)

/** Rows found by samples and places, which are no scans; those that triggers are given are found so, too. */
const UNSCANNED = `pg_catalog.pg_stat_get_xact_tuples_returned(d.oid) + CASE
        WHEN pg_catalog.pg_stat_get_xact_tuples_inserted(d.oid) + pg_catalog.pg_stat_get_xact_tuples_updated(d.oid)
          + pg_catalog.pg_stat_get_xact_tuples_deleted(d.oid) = 0
        THEN pg_catalog.pg_stat_get_xact_tuples_fetched(d.oid) ELSE 0 END`

const usesSql = (tables: string, more = ''): string => `(
  SELECT coalesce(pg_catalog.json_object_agg(u.name, pg_catalog.json_build_array(u.locks, u.scans, u.inserted, u.updated, u.deleted, u.place)), '{}')::text
  FROM (SELECT d.name, coalesce(l.locks, 0) AS locks,
      pg_catalog.pg_stat_get_xact_numscans(d.oid) + ${UNSCANNED} + coalesce((SELECT sum(pg_catalog.pg_stat_get_xact_numscans(i.indexrelid))
        FROM pg_catalog.pg_index i WHERE i.indrelid = d.oid), 0) AS scans,
      pg_catalog.pg_stat_get_xact_tuples_inserted(d.oid) AS inserted, pg_catalog.pg_stat_get_xact_tuples_updated(d.oid) AS updated,
      pg_catalog.pg_stat_get_xact_tuples_deleted(d.oid) AS deleted, d.place
    FROM ${tables} AS d LEFT JOIN (SELECT relation, sum(DISTINCT CASE mode WHEN 'AccessShareLock' THEN 1 WHEN 'RowShareLock' THEN 2
        WHEN 'RowExclusiveLock' THEN 4 ELSE 8 END) AS locks FROM pg_catalog.pg_locks
      WHERE locktype = 'relation' AND pid = pg_catalog.pg_backend_pid() AND granted AND mode <> 'SIReadLock'
        AND database IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))
      GROUP BY relation) AS l ON l.relation = d.oid
    UNION ALL SELECT pg_catalog.concat('${CATALOG}', x.name), 0, 0, pg_catalog.pg_stat_get_xact_tuples_inserted(x.oid),
      pg_catalog.pg_stat_get_xact_tuples_updated(x.oid), pg_catalog.pg_stat_get_xact_tuples_deleted(x.oid), ''
    FROM (VALUES ${catalogs}) AS x(name, oid)
    UNION ALL SELECT pg_catalog.concat('${DRAWN}', s.relname), 4, 0, 0, 0, 0, ''
    FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class s ON s.oid = l.relation AND s.relkind = 'S'
    WHERE l.locktype = 'relation' AND l.pid = pg_catalog.pg_backend_pid() AND l.granted AND l.mode = 'RowExclusiveLock'${more}) AS u
  WHERE u.locks + u.scans + u.inserted + u.updated + u.deleted > 0)`

const linksSql = (tables: string): string => `(
  SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(a.name, b.name, k.confdeltype, k.confupdtype)), '[]')::text
  FROM pg_catalog.pg_constraint k
  JOIN ${tables} AS a ON a.oid = k.conrelid JOIN ${tables} AS b ON b.oid = k.confrelid WHERE k.contype = 'f')`

const partitionsSql = (tables: string): string => `(
  SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(a.name, b.name)), '[]')::text FROM pg_catalog.pg_inherits h
  JOIN ${tables} AS a ON a.oid = h.inhparent JOIN ${tables} AS b ON b.oid = h.inhrelid)`

const keysSql = (tables: string): string => `
  SELECT pg_catalog.concat('${LINK}', pg_catalog.json_build_array(a.name, b.name)), 1, 0, 0, 0, 0, '' FROM pg_catalog.pg_constraint k
    JOIN ${tables} AS a ON a.oid = k.conrelid JOIN ${tables} AS b ON b.oid = k.confrelid WHERE k.contype = 'f'
  UNION SELECT pg_catalog.concat('${BESIDE}', b.name), 1, 0, 0, 0, 0, '' FROM pg_catalog.pg_constraint k
    JOIN ${tables} AS b ON b.oid = k.confrelid WHERE k.contype = 'f' AND k.conrelid NOT IN (SELECT a.oid FROM ${tables} AS a)`

const OPTIONS = { writes: false, looks: false, asItIs: true }

/** Looking does not make a shard one that the transaction has used. */
async function note(ctx: ExecContext, line: ShardLine, look: Asked): Promise<void> {
  const { touched } = line
  await queryShard(ctx, line, look.note, [], OPTIONS)
  line.touched = touched
}

async function lookAfter(ctx: ExecContext, line: ShardLine, look: Asked): Promise<Looked> {
  const { rows } = await queryShard(ctx, line, look.after, [], OPTIONS)
  const [before, after, linked, partitions] = rows[0]!.map((value) => value?.toString('utf8') ?? '')
  return {
    before: before === '' ? {} : (JSON.parse(before!) as Uses),
    after: JSON.parse(after!) as Uses,
    linked: JSON.parse(linked!) as Looked['linked'],
    partitions: JSON.parse(partitions!) as Looked['partitions'],
  }
}
