/** What Postgres lists of a session's own, which no one backend has: its prepared statements, and its portals. */
import { parseRowDescription } from '../../protocol/wire/backend-messages.ts'
import { linesWithCursors } from '../execute/answers/open-portal.ts'
import type { Execution } from '../execute/context.ts'
import { queryShard } from '../execute/shards/send.ts'
import type { ClientSession } from './client-session.ts'
import { UNNAMED } from './portal-runner.ts'
import type { Portal, Prepared } from './prepared.ts'

type Row = Readonly<Record<string, unknown>>

interface Listed extends Row {
  readonly name: string
  readonly statement: string
  readonly is_scrollable: boolean
}

const HEADER_BYTES = 5
/** As often Postgres plans for the values given, before it asks whether that pays. */
const CUSTOM_PLANS = 5

/** Rows of pg_prepared_statements. The unnamed one is not among them. */
export function preparedRows({ prepared }: ClientSession): readonly Row[] {
  return [...prepared.values()].filter(({ name }) => name !== '').map(preparedRow)
}

function preparedRow(statement: Prepared): Row {
  const { name, madeAt, paramTypes, described, uses } = statement
  const rows = (described ?? statement.describedBefore)?.rowDescription
  const columns = rows === undefined ? undefined : parseRowDescription(rows, HEADER_BYTES, rows.length)
  const custom = paramTypes.length === 0 ? 0 : Math.min(uses, CUSTOM_PLANS)
  return {
    name,
    statement: statement.shown,
    prepare_time: new Date(madeAt).toISOString(),
    parameter_types: paramTypes,
    result_types: columns?.map(({ typeOid }) => typeOid) ?? null,
    from_sql: statement.source !== undefined,
    generic_plans: uses - custom,
    custom_plans: custom,
  }
}

const CURSORS = 'SELECT pg_catalog.to_jsonb(c) FROM pg_catalog.pg_cursors c'

/** Rows of pg_cursors: what backends have, and what the client has bound that they have not. */
export async function cursorRows(session: ClientSession, exec: Execution): Promise<readonly Row[]> {
  const found = new Map<string, Row>()
  for (const portal of session.portals.values()) {
    if (portal.name !== '') found.set(portal.name, boundRow(portal))
  }
  for (const line of session.tx.failed ? [] : linesWithCursors(session)) {
    const { rows } = await queryShard(session, line, CURSORS, [], { writes: false, looks: false })
    for (const [json] of rows) {
      const row = JSON.parse(json!.toString('utf8')) as Listed
      const cursor = session.state.cursors.get(row.name)
      const statement = cursor?.written ?? row.statement
      // It can go back where all of its parts can.
      const part = cursor?.isOnSeveral === true ? found.get(row.name) : undefined
      const is_scrollable = row.is_scrollable && part?.is_scrollable !== false
      if (row.name !== '' && row.name !== UNNAMED)
        found.set(row.name, { ...(part ?? row), statement, is_scrollable })
    }
  }
  // A Query has taken the place of the unnamed one, and is not shown.
  const unnamed = exec.bind === undefined ? undefined : session.portals.get('')
  return unnamed === undefined ? [...found.values()] : [...found.values(), boundRow(unnamed)]
}

function boundRow({ name, statement, boundAt }: Portal): Row {
  return {
    name,
    statement: statement.text,
    is_holdable: false,
    is_binary: false,
    is_scrollable: false,
    creation_time: new Date(boundAt).toISOString(),
  }
}
