import { slotTable } from '../../cluster/slots.ts'
import { weftError } from '../../errors/catalog.ts'
import { invariant, PgError } from '../../errors/pg-error.ts'
import { SetupError } from '../../errors/setup-error.ts'
import type {
  Catalog,
  Column,
  KeyedFunction,
  KeyType,
  Relation,
  RelationKind,
  RowSecurity,
} from '../../sql/catalog.ts'
import type { CodePiece } from '../../sql/code/code-graph.ts'
import { endsOfProcedures, type Procedure } from '../../sql/ends-transaction.ts'
import { backslashesSpelt } from '../../sql/lex/backslashes.ts'
import { ALIKE } from '../../sql/tree/functions.ts'
import { makeCatalog } from './catalog-value.ts'
import { codeSql } from './code-queries.ts'
import { LockedRelations, lockedRelationsSql } from './locked-relations.ts'
import * as queries from './queries.ts'

export type Row = readonly (string | null)[]

/**
 * Runs statements one after the other on one and the same administrative connection to the home shard; the rows of each,
 * values as text.
 */
export type CatalogQuery = (statements: readonly string[]) => Promise<readonly (readonly Row[])[]>

/** For a connection that takes one statement at a time. */
export async function rowsOfEach(
  statements: readonly string[],
  run: (sql: string) => Promise<{ readonly rows: readonly Row[] }>,
): Promise<readonly (readonly Row[])[]> {
  const results: (readonly Row[])[] = []
  for (const sql of statements) results.push((await run(sql)).rows)
  return results
}

/** Locks may be taken after the look at them. */
const LOCK_TIMEOUT_MS = 100
const LOCK_TRIES = 20

const BEGIN = [
  'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY',
  // Names in view definitions and types come out qualified only when nothing is on the path.
  "SET LOCAL search_path = ''",
  `SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`,
  // With many relations they look dear enough to be compiled, which takes longer than they do.
  'SET LOCAL jit = off',
  lockedRelationsSql,
]

const partsSql = (locked: LockedRelations) => ({
  meta: queries.versionSql,
  slots: queries.slotsSql,
  columns: queries.columnsSql(locked),
  relations: queries.relationsSql(locked),
  equalitySchemas: queries.equalitySchemasSql,
  systemNames: queries.systemNamesSql,
  notImmutable: queries.notImmutableSql,
  functions: queries.functionsSql(locked),
  keyedFunctions: queries.keyedFunctionsSql(locked),
  domains: queries.domainsSql,
  code: codeSql(locked),
})
type Parts = Readonly<Record<keyof ReturnType<typeof partsSql>, readonly Row[]>>

/**
 * Reads the catalog from the home shard, as of one moment: all that can be read without waiting for anybody's locks. It
 * opens and ends its own transaction; after a failure the transaction is rolled back and the error thrown. Two requests
 * where the connection can.
 */
export async function loadCatalog(query: CatalogQuery, shardCount: number): Promise<Catalog> {
  for (let attempt = 1; ; attempt++) {
    try {
      const { parts, isWhole } = await readParts(query)
      return fromParts(parts, shardCount, isWhole)
    } catch (error) {
      const isLocked = error instanceof PgError && error.code === '55P03'
      if (!isLocked || attempt === LOCK_TRIES) throw error
    }
  }
}

async function readParts(query: CatalogQuery): Promise<{ parts: Parts; isWhole: boolean }> {
  try {
    const begun = await query(BEGIN)
    const locked = new LockedRelations(begun.at(-1)!.map(([oid]) => oid!))
    const sql = partsSql(locked)
    const results = await query([...Object.values(sql), 'COMMIT'])
    const parts = Object.fromEntries(Object.keys(sql).map((name, i) => [name, results[i]!]))
    return { parts: parts as Parts, isWhole: locked.isEmpty }
  } catch (error) {
    await query(['ROLLBACK']).catch(() => {})
    throw error
  }
}

function fromParts(parts: Parts, shardCount: number, isWhole: boolean): Catalog {
  const version = Number(parts.meta[0]?.[0])
  invariant(Number.isSafeInteger(version), 'weft.meta has one row')
  const columns = groupColumns(parts.columns)
  return makeCatalog({
    version,
    shardCount,
    slots: toSlots(parts.slots, shardCount),
    relations: parts.relations.map((row) => toRelation(row, columns)),
    equalitySchemas: new Set(parts.equalitySchemas.map((r) => r[0]!)),
    systemNames: new Set(parts.systemNames.map((r) => r[0]!)),
    unlikeFunctions: unlikeOf(parts.notImmutable),
    ...functionsOf(parts.functions),
    keyedFunctions: keyedOf(parts.keyedFunctions),
    domainDefaults: new Map(parts.domains.map(([name, expression]) => [name!, expression!])),
    code: parts.code.map(toPiece),
    isWhole,
  })
}

/** Rows of `notImmutableSql`. */
export function unlikeOf(rows: readonly Row[]): ReadonlySet<string> {
  return new Set(rows.map(([name]) => name!).filter((name) => !ALIKE.has(name)))
}

/** Functions of one name are taken together. */
function functionsOf(rows: readonly Row[]) {
  const functionBodies = new Map<string, string>()
  const procedures: Procedure[] = []
  for (const [name, body, language] of rows) {
    functionBodies.set(name!, `${functionBodies.get(name!) ?? ''}\n${body ?? ''}`)
    if (language != null) procedures.push({ name: name!, language, body: body ?? '' })
  }
  return { functionBodies, procedures: endsOfProcedures(procedures) }
}

function keyedOf(rows: readonly Row[]): ReadonlyMap<string, KeyedFunction> {
  return new Map(rows.map((row) => [row[1]!, toKeyed(row)]))
}

function toKeyed(row: Row): KeyedFunction {
  const [schema, name, kind, language, body, argument, position, number, typeOid, keyType, colocation] = row
  const [settings, searchPath] = row
    .slice(11)
    .map((list) => (list == null ? [] : (JSON.parse(list) as string[])))
  return {
    schema: schema!,
    name: name!,
    isProcedure: kind === 'p',
    language: language!,
    body: body ?? '',
    argument: argument ?? undefined,
    position: Number(position),
    number: Number(number),
    typeOid: Number(typeOid),
    keyType: keyType as KeyType,
    colocation: Number(colocation),
    settings: settings!,
    searchPath: searchPath!,
  }
}

function toPiece([kind, name, language, text]: Row): CodePiece {
  return { kind: kind as CodePiece['kind'], name: name!, language: language!, text: text ?? undefined }
}

function toSlots(rows: readonly Row[], shardCount: number) {
  const ranges = rows.map((r) => ({
    from: Number(r[0]),
    to: Number(r[1]),
    shard: Number(r[2]),
  }))
  const highest = Math.max(...ranges.map((r) => r.shard))
  if (highest >= shardCount) {
    throw new SetupError(
      `shard ${highest} holds rows, but only ${shardCount} shards are configured`,
      'Configure every shard that the cluster was made with.',
    )
  }
  return slotTable(ranges)
}

export interface NumberedColumn extends Column {
  readonly attnum: number
  readonly typmod: number
}

/** Rows of `columnsSql`, by the number of their relation. */
export function groupColumns(rows: readonly Row[]): Map<string, NumberedColumn[]> {
  const byTable = new Map<string, NumberedColumn[]>()
  for (const row of rows) {
    const list = byTable.get(row[0]!) ?? []
    list.push(toColumn(row))
    byTable.set(row[0]!, list)
  }
  return byTable
}

const truth = (text: string | null | undefined): boolean => text === 't' || text === 'true'

function toColumn(row: Row): NumberedColumn {
  const [, attnum, name, type, typeOid, notNull, expression, usesSequence, generated, identity, sequence] =
    row
  const isGenerated = generated !== ''
  const collation = row[12]
  const [declared, under] = row.slice(13)
  const base = {
    ...(declared === null || declared === undefined ? {} : { declared }),
    ...(under == null ? {} : { base: under }),
    ...(collation === null || collation === undefined ? {} : { collation }),
    attnum: Number(attnum),
    typmod: Number(row[11]),
    name: name!,
    type: type!,
    typeOid: Number(typeOid),
    notNull: truth(notNull),
    usesSequence: truth(usesSequence) || identity !== '',
    generated: isGenerated,
  }
  if (identity === 'a' || identity === 'd') {
    const quoted = `'${sequence!.replaceAll("'", "''")}'`
    return {
      ...base,
      default: backslashesSpelt(`weft.identity_nextval(${quoted}::regclass)`),
      identity: identity === 'a' ? 'always' : 'by default',
    }
  }
  if (expression === null || expression === undefined || isGenerated) return base
  return { ...base, default: backslashesSpelt(expression) }
}

/** Seen by the transaction that dropped its type, with all that has it. */
function keyDropped(table: string): PgError {
  return weftError('not_supported', {
    id: 'key_dropped',
    what: `dropping the shard key of table ${table} is not supported`,
    hint: 'Drop the table, or SELECT undistribute_table(…) first.',
  })
}

function toRelation(row: Row, columns: ReadonlyMap<string, NumberedColumn[]>): Relation {
  const [
    oid,
    schema,
    name,
    relkind,
    declared,
    keyAttnum,
    keyType,
    colocation,
    definition,
    lockedBy,
    primaryKey,
    referredBy,
    rowSecurity,
    hasOwnCode,
    root,
    hasHeirs,
    statementTriggers,
    copyTriggers,
    actionsFire,
    isReferred,
    actionsMix,
    ignores,
    ruled,
  ] = row
  const base = {
    oid: Number(oid),
    schema: schema!,
    name: name!,
    columns: columns.get(oid!) ?? [],
    ...(lockedBy == null ? {} : { lockedBy: Number(lockedBy) }),
    ...(referredBy == null ? {} : { referredBy }),
    ...(rowSecurity == null ? {} : { rowSecurity: rowSecurity as RowSecurity }),
    ...(root == null ? {} : { root: Number(root) }),
    ...(hasHeirs == null ? {} : { hasHeirs: true as const }),
    ...(statementTriggers == null ? {} : { statementTriggers: Number(statementTriggers) }),
    ...(copyTriggers == null ? {} : { copyTriggers: Number(copyTriggers) }),
    ...(actionsFire == null ? {} : { actionsFire: Number(actionsFire) }),
    ...(isReferred == null ? {} : { isReferred: true as const }),
    ...(actionsMix == null ? {} : { actionsMix: true as const }),
    ...(ignores == null ? {} : { ignores: Number(ignores) }),
    ...(ruled == null ? {} : { ruled: Number(ruled) }),
    ...(relkind === 'p' ? { isPartitioned: true as const } : {}),
    ...(primaryKey == null ? {} : { primaryKey: JSON.parse(primaryKey) as string[] }),
  }
  if (relkind === 'v') {
    const own = hasOwnCode == null ? {} : { hasOwnCode: true as const }
    return { ...base, kind: 'view', definition: definition ?? '', ...own }
  }
  if (declared !== 'sharded') return { ...base, kind: (declared ?? 'local') as RelationKind }
  const index = base.columns.findIndex((c) => c.attnum === Number(keyAttnum))
  const key = base.columns[index]
  if (key === undefined) throw keyDropped(`${schema}.${name}`)
  return {
    ...base,
    kind: 'sharded',
    key: {
      column: key.name,
      index,
      type: keyType as KeyType,
      ...(key.typmod >= 0 ? { typmod: key.typmod } : {}),
    },
    colocation: Number(colocation),
  }
}
