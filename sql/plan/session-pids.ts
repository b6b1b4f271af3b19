/**
 * Statements that say or ask who is who: `pg_backend_pid()`, `pg_cancel_backend(…)`, `pg_stat_activity` and their kin. A
 * client session has no backend of its own, so what one shard would answer is about somebody else by the next statement.
 * Each is replaced by a function of schema `weft` of the same name (so that columns keep their labels) that is given, as one
 * argument more, what the coordinator knows (docs/decisions/0010-session-pids.md). `currval(…)` and `lastval()` are of the
 * same kind: they ask what the session has drawn (0016-sequences-of-a-session.md). PURE.
 */

import type * as Pg from '@pgsql/types'
import { weftError } from '../../errors/catalog.ts'
import type { Refused } from '../../errors/refusals/refusals.ts'
import { makesMaterializedView, OPTIMIZABLE, qualified, walk } from '../parse/ast.ts'
import type { ParsedStatement } from '../parse/parse.ts'
import { backendsInCode } from './code-of-backends.ts'
import type { Known } from './known.ts'
import { aliasFollows } from './own-in-catalogs.ts'
import type { Plan, SessionPidsPlan } from './plan.ts'
import { replacedPlan } from './replaced-plan.ts'
import { asksPagesOrTuples, SIZE_FUNCTIONS, STATISTICS, type StatisticsView } from './sums-of-tables.ts'
import { closing, itemsIn, nextName, nextToken, type TextToken } from './text-scan.ts'

type Names = Readonly<Record<string, Known>>

const FUNCTIONS: Names = {
  PG_BACKEND_PID: 'pid',
  PG_CANCEL_BACKEND: 'sessions',
  PG_TERMINATE_BACKEND: 'sessions',
  PG_BLOCKING_PIDS: 'waits',
  PG_ISOLATION_TEST_SESSION_IS_BLOCKED: 'waits',
  CURRVAL: 'drawn',
  LASTVAL: 'drawn',
}
const VIEWS: Names = {
  PG_STAT_ACTIVITY: 'pg_stat_activity',
  PG_LOCKS: 'pg_locks',
  PG_PREPARED_STATEMENTS: 'pg_prepared_statements',
  PG_CURSORS: 'pg_cursors',
}
/** Of schema weft: its pids are those of sessions too. */
const OWN_VIEWS: Names = { TRANSACTIONS: 'transactions' }
/** Where there are sharded tables. */
const WITH_SIZES: Names = {
  ...FUNCTIONS,
  ...Object.fromEntries(SIZE_FUNCTIONS.map((name) => [name.toUpperCase(), 'sizes' as const])),
  PG_DATABASE_SIZE: 'database_size',
}
const WITH_STATISTICS: Names = {
  ...VIEWS,
  ...Object.fromEntries(Object.keys(STATISTICS).map((name) => [name.toUpperCase(), name as StatisticsView])),
}
const WITH_CLASSES: Names = { ...WITH_STATISTICS, PG_CLASS: 'pg_class' }
const MENTIONED =
  /_size|pg_class|pg_stat|transactions|pg_(?:backend_pid|cancel_backend|terminate_backend|blocking_pids|isolation_test_session_is_blocked|safe_snapshot_blocking_pids|locks|prepared_statements|cursors)|currval|lastval/i

const KINDS: ReadonlySet<string> = new Set([
  ...OPTIMIZABLE,
  'CopyStmt',
  'CallStmt',
  'ExecuteStmt',
  'ExplainStmt',
  'DeclareCursorStmt',
  'CreateTableAsStmt',
])

/** Names that stand for something else in a statement. */
interface Replaced {
  readonly functions: Names
  readonly views: Names
}

const OF_SESSIONS: Replaced = { functions: FUNCTIONS, views: VIEWS }

/** What a materialized view tells of tables is what home's refresh finds, as in other code. */
function replacedIn({ text, node }: ParsedStatement, isSharded: boolean): Replaced {
  if (!isSharded || makesMaterializedView(node)) return OF_SESSIONS
  return { functions: WITH_SIZES, views: asksPagesOrTuples(text) ? WITH_CLASSES : WITH_STATISTICS }
}

/**
 * Undefined: the statement has nothing of the kind. `plain`: its plan as written, for what it does to the session.
 * `isSharded`: some tables are.
 */
export function planSessionPids(
  stmt: ParsedStatement,
  plain: () => Plan,
  isSharded: boolean,
): SessionPidsPlan | undefined {
  if (!KINDS.has(stmt.kind) || !MENTIONED.test(stmt.text)) return undefined
  const replaced = replacedIn(stmt, isSharded)
  const count = countOf(stmt.node, replaced)
  if (count === 0) return undefined
  // What is put into its query would stay there for good.
  if (makesMaterializedView(stmt.node)) throw backendsInCode('a materialized view')
  const places = placesIn(stmt.text, replaced)
  if (places.filter(({ known }) => known !== undefined).length !== count) {
    throw weftError('not_supported', UNREADABLE)
  }
  const namesViews = stmt.kind === 'SelectStmt' && places.some(({ tail }) => tail.startsWith(')'))
  return { ...replacedPlan(plain(), places), ...(namesViews && { namesViews }) }
}

const UNREADABLE: Refused = {
  id: 'session_function',
  what: 'this way of writing the name of a function or view about sessions or sizes is not supported',
  hint: 'Write pg_backend_pid, pg_stat_activity, pg_table_size and the like without quotes, with or without pg_catalog ahead.',
}

const SAFE: Refused = {
  id: 'session_function',
  what: 'pg_safe_snapshot_blocking_pids() is not supported',
  hint: 'DEFERRABLE transactions wait in the coordinator, for a snapshot that is safe on every shard.',
}

function isBuiltIn(schema: string | undefined): boolean {
  return schema === undefined || schema === 'pg_catalog'
}

const NO_VIEWS: Names = {}

function viewsOf(schema: string | undefined, { views }: Replaced): Names {
  if (schema === 'weft') return OWN_VIEWS
  return isBuiltIn(schema) ? views : NO_VIEWS
}

function countOf(root: unknown, replaced: Replaced): number {
  let count = 0
  const withQueries = new Set<string>()
  walk(root, (kind, body) => {
    if (kind === 'CommonTableExpr') withQueries.add((body as Pg.CommonTableExpr).ctename ?? '')
    if (kind === 'FuncCall') {
      const { schema, name } = qualified((body as Pg.FuncCall).funcname)
      if (isBuiltIn(schema) && replaced.functions[name.toUpperCase()] !== undefined) count++
      if (isBuiltIn(schema) && name === 'pg_safe_snapshot_blocking_pids')
        throw weftError('not_supported', SAFE)
    } else if (kind === 'RangeVar') {
      const { schemaname, relname = '' } = body as Pg.RangeVar
      const views = viewsOf(schemaname || undefined, replaced)
      if (views[relname.toUpperCase()] !== undefined) count++
    }
  })
  return [...withQueries].some((name) => replaced.views[name.toUpperCase()] !== undefined) ? -1 : count
}

type Place = SessionPidsPlan['places'][number]

function placesIn(text: string, replaced: Replaced): Place[] {
  const places: Place[] = []
  const before: TextToken[] = []
  for (let t = nextName(text, 0); t; t = nextName(text, t.end)) {
    places.push(...placesAt(text, t, before, replaced))
    before.push(t)
    if (before.length > 4) before.shift()
  }
  return places
}

function placesAt(
  text: string,
  token: TextToken,
  before: readonly TextToken[],
  replaced: Replaced,
): readonly Place[] {
  const isQualified = before.at(-1)?.word === '.'
  const schema = isQualified ? before.at(-2)!.word.toLowerCase() : undefined
  if (!isBuiltIn(schema) && schema !== 'weft') return []
  const start = isQualified ? before.at(-2)!.start : token.start
  const next = nextToken(text, token.end)
  const called = isBuiltIn(schema) ? replaced.functions[token.word] : undefined
  const name = token.word.toLowerCase()
  if (called !== undefined) return next?.word === '(' ? call(text, start, name, called, next) : []
  const known = viewsOf(schema, replaced)[token.word]
  const at = isQualified ? -3 : -1
  const ahead = before.at(at)?.word === '(' ? before.at(at - 1) : before.at(at)
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
  const [first] = itemsIn(text, open.start)
  const head = `weft.${name}(`
  const relation = known === 'sizes' && first ? relationNamed(text.slice(first.start, first.end)) : undefined
  return [
    { start, end: open.end, head, known: undefined, tail: '' },
    { start: close, end: close, head: first === undefined ? '' : ', ', known, relation, tail: '' },
  ]
}

const RELATION = /^'((?:[^'\\]|'')+)'(?:\s*::\s*(?:pg_catalog\.)?regclass)?$/i

/** By a constant; a number is the home shard's. */
function relationNamed(argument: string): string | undefined {
  const name = RELATION.exec(argument)?.[1]?.replaceAll("''", "'")
  return name === undefined || /^\d+$/.test(name) ? undefined : name
}
