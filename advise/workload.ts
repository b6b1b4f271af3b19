import { PgError } from '../errors/pg-error.ts'
import { SetupError } from '../errors/setup-error.ts'
import { literalPlaces } from '../sql/lex/literal-places.ts'
import { splitFile } from '../sql/workload/split.ts'
import { loggedStatements } from './log-lines.ts'
import type { Ask } from './schema.ts'

/** A statement as often as it came, with other values. */
export interface Asked {
  readonly text: string
  readonly calls: number
  /** In all; 0 when nobody knows. */
  readonly ms: number
}

export interface Workload {
  readonly statements: readonly Asked[]
  /** Texts that could not be read. */
  readonly unread: number
}

const KINDS = /^(?:Select|Insert|Update|Delete|Merge)Stmt$/

/** What `pg_stat_statements` has of the database. */
export async function workloadOfDatabase(ask: Ask): Promise<Workload> {
  const [found] = await ask(
    "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'",
  )
  if (found === undefined)
    throw new SetupError(
      'the database has no pg_stat_statements',
      "Set shared_preload_libraries = 'pg_stat_statements', restart, and CREATE EXTENSION pg_stat_statements; or give --statements.",
    )
  const rows = await ask(
    `SELECT query, sum(calls)::text, sum(total_exec_time)::text FROM ${found[0]}.pg_stat_statements
     WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND query IS NOT NULL GROUP BY query`,
  )
  return gathered(rows.map(([text, calls, ms]) => ({ text: text!, calls: Number(calls), ms: Number(ms) })))
}

/** A file of statements, or a log of Postgres. */
export function workloadOfFile(text: string): Workload {
  const logged = loggedStatements(text)
  return gathered(logged ?? [{ text, calls: 1, ms: 0 }])
}

/** Each that reads or writes rows, once for all its values. */
function gathered(asked: readonly Asked[]): Workload {
  const byShape = new Map<string, Asked>()
  let unread = 0
  for (const { text, calls, ms } of asked) {
    for (const listed of splitFile(text)) {
      if (listed.parsed instanceof PgError) unread++
      else if (KINDS.test(listed.parsed.kind)) {
        const shape = shapeOf(listed.text)
        const known = byShape.get(shape)
        byShape.set(shape, {
          text: known?.text ?? listed.text,
          calls: calls + (known?.calls ?? 0),
          ms: ms + (known?.ms ?? 0),
        })
      }
    }
  }
  return { statements: [...byShape.values()], unread }
}

/** The text without its literals. */
function shapeOf(text: string): string {
  let shape = ''
  let at = 0
  for (const { start, end } of literalPlaces(text)) {
    shape += `${text.slice(at, start)}?`
    at = end
  }
  return (shape + text.slice(at)).replaceAll(/\s+/g, ' ').trim()
}
