import type { CopyStmt, DefElem } from '@pgsql/types'
import type { Column, Relation } from '../../catalog.ts'
import { as, type Node, strings } from '../../parse/ast.ts'
import { traitsOf, unlikeBecause } from '../../tree/traits.ts'
import type { CopyPlan } from '../copy-plan.ts'
import { isGathered } from '../gather/gather-plan.ts'
import { copyIntoError } from '../home-first.ts'
import type { ForwardPlan, Plan } from '../plan.ts'
import { isSingle } from '../routing.ts'
import { refuseStatementTriggers } from '../statement-triggers.ts'
import { closing, nextToken } from '../text-scan.ts'
import { timedFill } from '../times/copy-fill.ts'
import { hasUnstableDefault } from '../writes.ts'
import { copyOptions } from './copy-options.ts'
import { planQuery } from './inner.ts'
import { findOption, optionFlag, optionText } from './options.ts'
import { common, forwardHome, pgError, unsupported } from './plans.ts'
import { nameOf, resolveDistributed, type Scope } from './scope.ts'
import { findWord, tokensOf } from './text.ts'

/** COPY in all its forms. */
export function planCopy(scope: Scope, stmt: CopyStmt): Plan {
  if (stmt.query !== undefined) return planCopyQuery(scope, stmt)
  const table = resolveDistributed(scope, nameOf(stmt.relation))
  const into = stmt.is_from === true
  if (table === undefined) return forwardHome('COPY', { access: into ? 'write' : 'read' })
  if (!into && table.kind === 'reference') return copyReferenceOut(stmt)
  if (stmt.is_program === true || stmt.filename !== undefined) {
    throw unsupported(
      'copy_server_file',
      `COPY ${into ? 'FROM' : 'TO'} a file or program of the server is not supported for ${table.kind} table "${table.name}"`,
      into ? 'Use COPY … FROM STDIN, or \\copy of psql.' : 'Use COPY … TO STDOUT, or \\copy of psql.',
    )
  }
  if (into) refuseStatementTriggers(scope.catalog, 'COPY', [table])
  const error = into ? copyIntoError(scope.catalog, table) : undefined
  if (error !== undefined) throw error
  return copyRows(scope, stmt, table, into ? 'in' : 'out')
}

/** One copy is as good as any, and Postgres prints it. A file is written on the home shard's server. */
function copyReferenceOut(stmt: CopyStmt): ForwardPlan {
  const forward = forwardHome('COPY', { access: 'read' })
  const toServer = stmt.is_program === true || stmt.filename !== undefined
  return toServer ? forward : { ...forward, route: { kind: 'any' } }
}

function copyRows(scope: Scope, stmt: CopyStmt, table: Relation, direction: 'in' | 'out'): CopyPlan {
  const columns = copiedColumns(table, strings(stmt.attlist))
  const options = copyOptions(stmt.options, direction, columns)
  const keyIndex = table.key === undefined ? -1 : columns.indexOf(table.key.column)
  const { sql, forceNull, forceNotNull, ...format } = options
  const where = direction === 'in' ? whereSql(scope, stmt, table) : ''
  return {
    ...common('COPY', { access: direction === 'in' ? 'write' : 'read', generic: false }),
    kind: 'copy',
    direction,
    table,
    columns,
    ...format,
    forceNull: columns.flatMap((c, i) => (forceNull.includes(c) ? [i] : [])),
    forceNotNull: columns.flatMap((c, i) => (forceNotNull.includes(c) ? [i] : [])),
    keyIndex,
    ...(options.defaultText !== undefined && {
      ownDefaults: ownDefaults(scope, table, columns, format.format),
    }),
    fill: direction === 'in' ? fillOf(scope, table, columns, format.format) : [],
    optionsSql: [sql, where].filter((part) => part !== '').join(' '),
  }
}

/** What stands for a default is left to the shard that gets the row, but for columns whose default one place evaluates. */
function ownDefaults(
  scope: Scope,
  table: Relation,
  columns: readonly string[],
  format: CopyPlan['format'],
): readonly number[] {
  return columns.flatMap((name, i) => {
    const column = table.columns.find((c) => c.name === name)!
    return column.default !== undefined && placedFill(scope, table, column, format) ? [i] : []
  })
}

/** The columns in the order of the data; without a list all but generated ones, as in Postgres. */
function copiedColumns(table: Relation, listed: readonly string[]): readonly string[] {
  if (listed.length === 0) return table.columns.filter((c) => !c.generated).map((c) => c.name)
  for (const [i, name] of listed.entries()) {
    const column = table.columns.find((c) => c.name === name)
    if (column === undefined) {
      throw pgError('42703', `column "${name}" of relation "${table.name}" does not exist`)
    }
    if (column.generated) throw pgError('42P10', `column "${name}" is a generated column`)
    if (listed.indexOf(name) !== i) throw pgError('42701', `column "${name}" specified more than once`)
  }
  return listed
}

/** COPY FROM … WHERE is left to the shard that gets the row. */
function whereSql(scope: Scope, stmt: CopyStmt, table: Relation): string {
  if (stmt.whereClause === undefined) return ''
  const unstable = unlikeBecause(traitsOf(stmt.whereClause, scope.catalog))
  if (table.kind === 'reference' && unstable !== undefined) {
    throw unsupported(
      'reference_write_unstable',
      `COPY FROM … WHERE with ${unstable} into reference table "${table.name}" is not supported`,
    )
  }
  const { text } = scope.stmt
  const tokens = tokensOf(text)
  const from = findWord(tokens, ['WHERE'], findWord(tokens, ['FROM']))
  return text.slice(tokens[from]!.start).trimEnd()
}

/**
 * Columns left out whose default one place must evaluate: those that draw from a sequence, the shard key, those that tell a
 * time, and in a reference table everything that could come out differently on each copy.
 */
function fillOf(
  scope: Scope,
  table: Relation,
  columns: readonly string[],
  format: CopyPlan['format'],
): CopyPlan['fill'] {
  const omitted = table.columns.filter((c) => !c.generated && !columns.includes(c.name))
  return omitted.flatMap((column) => placedFill(scope, table, column, format) ?? [])
}

function placedFill(
  scope: Scope,
  table: Relation,
  column: Column,
  format: CopyPlan['format'],
): CopyPlan['fill'][number] | undefined {
  const isKey = column.name === table.key?.column
  const timed = timedFill(column, scope.catalog, format)
  if (timed !== undefined) return { ...timed, isKey }
  // Without one the column's own constraint says so, wherever the row is.
  const isAsked = isKey && (column.default !== undefined || !column.notNull)
  const needed = isAsked || column.usesSequence || (table.kind === 'reference' && isUnstable(scope, column))
  return needed ? { column: column.name, expression: column.default ?? 'NULL', isKey } : undefined
}

function isUnstable(scope: Scope, column: Column): boolean {
  return column.default !== undefined && hasUnstableDefault(column, scope.catalog)
}

/** COPY (query) TO: where the query goes; the output of several shards is one after the other's. */
function planCopyQuery(scope: Scope, stmt: CopyStmt): Plan {
  for (let arm = as(stmt.query, 'SelectStmt'); arm !== undefined; arm = arm.larg) {
    if (arm.intoClause !== undefined) throw pgError('0A000', 'COPY (SELECT INTO) is not supported')
  }
  const inner = planQuery(scope, stmt.query)
  if (inner.kind === 'refused') return inner
  if (inner.kind !== 'forward') throw severalShards()
  const toServer = stmt.is_program === true || stmt.filename !== undefined
  const onHome = inner.route.kind === 'home' || inner.route.kind === 'any'
  if (toServer && !onHome) {
    throw unsupported(
      'copy_server_file',
      'COPY of a sharded table to a file or program of the server is not supported',
      'Use COPY … TO STDOUT, or \\copy of psql.',
    )
  }
  const canConcat = inner.onSeveral.kind === 'concat' && isPlainText(stmt)
  if (!onHome && !canConcat && scope.catalog.shardCount > 1) return planCopyGathered(scope, stmt, inner)
  const { access, effects, paramCount, paramsToDescribe, reach, sharded } = inner
  return {
    ...common('COPY', { access, effects, paramCount, paramsToDescribe, reach, sharded, generic: false }),
    kind: 'forward',
    route: toServer ? { kind: 'home' } : inner.route,
    onSeveral: canConcat ? { kind: 'concat' } : { kind: 'refuse', error: severalShards() },
  }
}

/** The home shard copies out what is gathered there. A key's one shard does as it is. */
function planCopyGathered(scope: Scope, stmt: CopyStmt, plain: ForwardPlan): Plan {
  const { route } = plain
  const { access, effects, paramCount, paramsToDescribe, reach, sharded } = plain
  const fields = common('COPY', {
    access,
    effects,
    paramCount,
    paramsToDescribe,
    reach,
    sharded,
    generic: false,
  })
  if (route.kind === 'keys' && isSingle(route.restrictions))
    return { ...fields, kind: 'forward', route, onSeveral: { kind: 'refuse', error: severalShards() } }
  const options = stmt.options?.map(asListed)
  const statement = (query: Node): Node => ({ CopyStmt: { ...stmt, ...(options && { options }), query } })
  const inner = planQuery(scope, stmt.query, { statement, isInline: true })
  if (inner.kind !== 'forward' || !isGathered(inner.onSeveral)) throw severalShards()
  return { ...fields, kind: 'forward', route: inner.route, onSeveral: inner.onSeveral }
}

/** A flag as the list in parentheses gives it: the old words, `CSV HEADER`, make another tree of it. */
function asListed(option: Node): Node {
  const { DefElem: element } = option as { DefElem?: DefElem }
  const flag = as(element?.arg, 'Boolean')
  if (flag === undefined) return option
  return { DefElem: { ...element, arg: { String: { sval: String(flag.boolval === true) } } } }
}

/** Where the query of `COPY (…) TO` stands in the text. */
export function copiedQuery(text: string): { readonly start: number; readonly end: number } {
  let open = nextToken(text, 0)
  while (open && open.word !== '(') open = nextToken(text, open.end)
  return { start: open?.end ?? 0, end: closing(text, open?.start ?? 0) - 1 }
}

/** Without a header, and not binary: outputs can follow one another. */
function isPlainText(stmt: CopyStmt): boolean {
  const format = findOption(stmt.options, 'format')
  const header = findOption(stmt.options, 'header')
  const binary = format !== undefined && optionText(format) === 'binary'
  return !binary && (header === undefined || optionFlag(header) === false)
}

function severalShards() {
  return unsupported(
    'copy',
    'COPY of this query over several shards is not supported',
    'Restrict it to one shard key, or use the text or csv format without HEADER for a query whose rows need no merging.',
  )
}
