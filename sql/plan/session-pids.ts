/**
 * Statements that say or ask who is who: `pg_backend_pid()`, `pg_cancel_backend(…)`, `pg_stat_activity` and their kin. A
 * client session has no backend of its own, so what one shard would answer is about somebody else by the next statement.
 * Each is replaced by a function of schema `weft` of the same name (so that columns keep their labels) that is given, as one
 * argument more, what the coordinator knows (docs/decisions/0010-session-pids.md). `currval(…)` and `lastval()` are of the
 * same kind: they ask what the session has drawn (0016-sequences-of-a-session.md). PURE.
 */

import type * as Pg from '@pgsql/types'
import { weftError } from '../../errors/catalog.ts'
import { makesMaterializedView, qualified, walk } from '../parse/ast.ts'
import type { ParsedStatement } from '../parse/parse.ts'
import { backendsInCode } from './code-of-backends.ts'
import type { Known } from './known.ts'
import { aliasFollows } from './own-in-catalogs.ts'
import type { Plan, SessionPidsPlan } from './plan.ts'
import { replacedPlan } from './replaced-plan.ts'
import { closing, nextName, nextToken, type TextToken } from './text-scan.ts'

const FUNCTIONS: Readonly<Record<string, Known>> = {
  PG_BACKEND_PID: 'pid',
  PG_CANCEL_BACKEND: 'sessions',
  PG_TERMINATE_BACKEND: 'sessions',
  PG_BLOCKING_PIDS: 'waits',
  PG_ISOLATION_TEST_SESSION_IS_BLOCKED: 'waits',
  CURRVAL: 'drawn',
  LASTVAL: 'drawn',
}
const VIEWS: Readonly<Record<string, Known>> = {
  PG_STAT_ACTIVITY: 'pg_stat_activity',
  PG_LOCKS: 'pg_locks',
  PG_PREPARED_STATEMENTS: 'pg_prepared_statements',
  PG_CURSORS: 'pg_cursors',
}
/** Of schema weft: its pids are those of sessions too. */
const OWN_VIEWS: Readonly<Record<string, Known>> = { TRANSACTIONS: 'transactions' }
const MENTIONED =
  /transactions|pg_(?:backend_pid|cancel_backend|terminate_backend|blocking_pids|isolation_test_session_is_blocked|safe_snapshot_blocking_pids|stat_activity|locks|prepared_statements|cursors)|currval|lastval/i

const KINDS: ReadonlySet<string> = new Set([
  'SelectStmt',
  'InsertStmt',
  'UpdateStmt',
  'DeleteStmt',
  'MergeStmt',
  'CopyStmt',
  'CallStmt',
  'ExecuteStmt',
  'ExplainStmt',
  'DeclareCursorStmt',
  'CreateTableAsStmt',
])

/** Undefined: the statement has nothing of the kind. `plain`: its plan as written, for what it does to the session. */
export function planSessionPids(stmt: ParsedStatement, plain: () => Plan): SessionPidsPlan | undefined {
  if (!KINDS.has(stmt.kind) || !MENTIONED.test(stmt.text)) return undefined
  const count = countOf(stmt.node)
  if (count === 0) return undefined
  // What is put into its query would stay there for good.
  if (makesMaterializedView(stmt.node)) throw backendsInCode('a materialized view')
  const places = placesIn(stmt.text)
  if (places.filter(({ known }) => known !== undefined).length !== count) {
    throw weftError('not_supported', UNREADABLE)
  }
  return replacedPlan(plain(), places)
}

const UNREADABLE = {
  what: 'this way of writing the name of a function or view about sessions is not supported',
  hint: 'Write pg_backend_pid, pg_stat_activity and the like without quotes, with or without pg_catalog ahead.',
}

const SAFE = {
  what: 'pg_safe_snapshot_blocking_pids() is not supported',
  hint: 'DEFERRABLE transactions wait in the coordinator, for a snapshot that is safe on every shard.',
}

function isBuiltIn(schema: string | undefined): boolean {
  return schema === undefined || schema === 'pg_catalog'
}

const NO_VIEWS: Readonly<Record<string, Known>> = {}

function viewsOf(schema: string | undefined): Readonly<Record<string, Known>> {
  if (schema === 'weft') return OWN_VIEWS
  return isBuiltIn(schema) ? VIEWS : NO_VIEWS
}

function countOf(root: unknown): number {
  let count = 0
  const withQueries = new Set<string>()
  walk(root, (kind, body) => {
    if (kind === 'CommonTableExpr') withQueries.add((body as Pg.CommonTableExpr).ctename ?? '')
    if (kind === 'FuncCall') {
      const { schema, name } = qualified((body as Pg.FuncCall).funcname)
      if (isBuiltIn(schema) && FUNCTIONS[name.toUpperCase()] !== undefined) count++
      if (isBuiltIn(schema) && name === 'pg_safe_snapshot_blocking_pids')
        throw weftError('not_supported', SAFE)
    } else if (kind === 'RangeVar') {
      const { schemaname, relname = '' } = body as Pg.RangeVar
      const views = viewsOf(schemaname || undefined)
      if (views[relname.toUpperCase()] !== undefined) count++
    }
  })
  return [...withQueries].some((name) => VIEWS[name.toUpperCase()] !== undefined) ? -1 : count
}

type Place = SessionPidsPlan['places'][number]

function placesIn(text: string): Place[] {
  const places: Place[] = []
  const before: TextToken[] = []
  for (let t = nextName(text, 0); t; t = nextName(text, t.end)) {
    places.push(...placesAt(text, t, before))
    before.push(t)
    if (before.length > 3) before.shift()
  }
  return places
}

function placesAt(text: string, token: TextToken, before: readonly TextToken[]): readonly Place[] {
  const isQualified = before.at(-1)?.word === '.'
  const schema = isQualified ? before.at(-2)!.word.toLowerCase() : undefined
  if (!isBuiltIn(schema) && schema !== 'weft') return []
  const start = isQualified ? before.at(-2)!.start : token.start
  const next = nextToken(text, token.end)
  const called = isBuiltIn(schema) ? FUNCTIONS[token.word] : undefined
  const name = token.word.toLowerCase()
  if (called !== undefined) return next?.word === '(' ? call(text, start, name, called, next) : []
  const known = viewsOf(schema)[token.word]
  const ahead = before.at(isQualified ? -3 : -1)
  if (known === undefined || ahead === undefined || next?.word === '.') return []
  const head = `weft.${name}(`
  if (ahead.word === 'TABLE')
    return [{ start: ahead.start, end: token.end, head: `SELECT * FROM ${head}`, known, tail: ')' }]
  if (!['FROM', 'JOIN', ','].includes(ahead.word)) return []
  const tail = aliasFollows(next) ? ')' : `) AS ${name}`
  return [{ start, end: token.end, head, known, tail }]
}

function call(text: string, start: number, name: string, known: Known, open: TextToken): readonly Place[] {
  const close = closing(text, open.start) - 1
  const isEmpty = nextToken(text.slice(open.end, close), 0) === undefined
  return [
    { start, end: open.end, head: `weft.${name}(`, known: undefined, tail: '' },
    { start: close, end: close, head: isEmpty ? '' : ', ', known, tail: '' },
  ]
}
