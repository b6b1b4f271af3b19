/**
 * Code in the database that speaks of backends (`sql/code`: functions, triggers, defaults, views with pg_backend_pid(),
 * pg_cancel_backend(…), pg_stat_activity and their kin). Nothing can be put into it as into a statement (session-pids.ts):
 * it would tell the pid of a pooled backend, or signal whoever has one by now. So what would run it is refused
 * (docs/decisions/0022-pids-in-code.md). PURE.
 */
import type * as Pg from '@pgsql/types'
import { weftError } from '../../errors/catalog.ts'
import type { PgError } from '../../errors/pg-error.ts'
import type { Catalog } from '../catalog.ts'
import type { Code } from '../code/code-graph.ts'
import { EFFECT } from '../code/effects.ts'
import { as, OPTIMIZABLE, qualified, walk } from '../parse/ast.ts'
import type { ParsedStatement } from '../parse/parse.ts'

/** What runs code. Statements that define some are not refused: a dump can be restored. */
const RUN_CODE: ReadonlySet<string> = new Set([
  ...OPTIMIZABLE,
  ...['CopyStmt', 'TruncateStmt', 'CallStmt', 'ExecuteStmt', 'ExplainStmt'],
  ...['DeclareCursorStmt', 'CreateTableAsStmt', 'RefreshMatViewStmt'],
])

export function errorOfBackends(stmt: ParsedStatement, { code }: Catalog): PgError | undefined {
  if (code === undefined || !code.namesBackends || !RUN_CODE.has(stmt.kind)) return undefined
  const name = namedIn(stmt.node, code)
  return name === undefined ? undefined : backendsInCode(`"${name}"`)
}

/** `where`: the piece of code. */
export function backendsInCode(where: string): PgError {
  return weftError('not_supported', {
    id: 'backends_in_code',
    what: `code in the database that names backends (pg_backend_pid(), pg_cancel_backend(), pg_stat_activity, …) is not supported: ${where}`,
    hint: "Call them in the statement itself and pass on what they say: as an argument, or as a setting, by SELECT set_config('app.pid', pg_backend_pid()::text, false) and current_setting('app.pid').",
  })
}

function namedIn(root: unknown, code: Code): string | undefined {
  let found: string | undefined
  const note = (name: string, effects: number): void => {
    if ((effects & EFFECT.backends) !== 0) found ??= name
  }
  walk(root, (kind, body) => {
    if (kind === 'FuncCall' || kind === 'CallStmt') {
      const call = kind === 'FuncCall' ? (body as Pg.FuncCall) : (body as Pg.CallStmt).funccall
      const { schema, name } = qualified(call?.funcname)
      if (schema !== 'pg_catalog' && schema !== 'weft') note(name, code.ofFunction(name))
    } else if (kind === 'RangeVar') {
      const { relname = '' } = body as Pg.RangeVar
      note(relname, code.ofRelation(relname, 'read'))
    } else {
      for (const { relname = '' } of writtenBy(kind, body)) note(relname, code.ofRelation(relname, 'write'))
    }
  })
  return found
}

type Writes = Pg.InsertStmt & Pg.UpdateStmt & Pg.DeleteStmt & Pg.MergeStmt & Pg.CopyStmt

const WRITE: ReadonlySet<string> = new Set([
  'InsertStmt',
  'UpdateStmt',
  'DeleteStmt',
  'MergeStmt',
  'CopyStmt',
])

function writtenBy(kind: string, body: unknown): readonly Pg.RangeVar[] {
  if (WRITE.has(kind)) {
    const { relation } = body as Writes
    return relation === undefined ? [] : [relation]
  }
  if (kind !== 'TruncateStmt') return []
  return ((body as Pg.TruncateStmt).relations ?? []).flatMap((node) => as(node, 'RangeVar') ?? [])
}
