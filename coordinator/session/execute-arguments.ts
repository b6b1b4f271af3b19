/** Arguments of EXECUTE: expressions that Postgres evaluates, each as it assigns them to the parameter's type. */
import { PgError } from '../../errors/pg-error.ts'
import { nextToken } from '../../sql/plan/text-scan.ts'
import { HOME } from '../execute/context.ts'
import { queryShard } from '../execute/shards/send.ts'
import type { ClientSession } from './client-session.ts'

const CANNOT_CAST = '42846'
const READ = { writes: false }

/** Postgres' error positions, moved from a text of ours to the client's; -1: to nowhere. */
export async function placed<T>(work: Promise<T>, move: (position: number) => number): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw moved(error, move)
  }
}

function moved(error: unknown, move: (position: number) => number): unknown {
  if (!(error instanceof PgError) || error.fields.position === undefined) return error
  const position = move(error.fields.position)
  return new PgError({ ...error.fields, position: position < 0 ? undefined : position }, { cause: error })
}

/** A text of ours with parts of the client's in it, and where an error position in it is in the client's. */
export function embedded(text: string, parts: readonly string[], wrap: (part: string, i: number) => string) {
  let sql = 'SELECT '
  let from = 0
  const places: { readonly start: number; readonly end: number; readonly at: number }[] = []
  for (const [i, part] of parts.entries()) {
    const wrapped = wrap(part, i)
    const start = sql.length + (i > 0 ? 2 : 0) + wrapped.indexOf(part)
    const at = text.indexOf(part, from)
    if (at >= 0) from = at + part.length
    places.push({ start, end: start + part.length, at })
    sql += `${i > 0 ? ', ' : ''}${wrapped}`
  }
  const move = (position: number): number => {
    const place = places.find(({ start, end }) => position > start - 2 && position <= end + 1)
    return place === undefined || place.at < 0 ? -1 : Math.max(position - place.start, 1) + place.at
  }
  const partAhead = (position: number) => places.findIndex(({ start }) => position - 1 < start)
  return { sql, move, placeOf: (i: number) => places[i]!.at + 1, partAhead }
}

/**
 * Of each parameter: its type, that of what is given, and whether a cast between them has to be written out.
 * Domains and arrays go by what they are of.
 */
const TYPES = `WITH given AS (SELECT * FROM pg_catalog.jsonb_to_recordset($1) AS x(n int, g oid, e oid)),
base AS (SELECT d.oid AS of, t.oid, t.typcategory FROM pg_catalog.pg_type d
  JOIN pg_catalog.pg_type a ON a.oid = COALESCE(NULLIF(d.typbasetype, 0), d.oid)
  JOIN pg_catalog.pg_type t ON t.oid = CASE WHEN a.typcategory = 'A' THEN a.typelem ELSE a.oid END)
SELECT pg_catalog.format_type(x.e, -1), pg_catalog.format_type(x.g, -1), g.oid <> e.oid AND e.typcategory <> 'S'
  AND CASE WHEN c.castcontext IS NULL THEN g.typcategory = 'S' ELSE c.castcontext = 'e' END
FROM given x JOIN base e ON e.of = x.e LEFT JOIN base g ON g.of = x.g
  LEFT JOIN pg_catalog.pg_cast c ON c.castsource = g.oid AND c.casttarget = e.oid ORDER BY x.n`

interface Parameter {
  readonly expected: string
  readonly given: string
  /** A cast of the one to the other has to be written out. */
  readonly isExplicit: boolean
}

/** As texts. */
export async function argumentValues(
  session: ClientSession,
  text: string,
  args: readonly string[],
  types: readonly number[],
): Promise<readonly (string | null)[]> {
  if (args.length === 0) return []
  const parameters = await parametersOf(session, text, args, types)
  const { sql, move, placeOf, partAhead } = embedded(
    text,
    args,
    (arg, i) => `CAST((${arg}) AS ${parameters[i]!.expected})`,
  )
  const refused = (i: number) => cannotBeCoerced(i, parameters[i]!, placeOf(i))
  const explicit = parameters.findIndex(({ isExplicit }) => isExplicit)
  if (explicit >= 0) throw refused(explicit)
  try {
    const answer = await queryShard(session, session.line(HOME), sql, [], READ)
    return answer.rows[0]!.map((value) => value?.toString('utf8') ?? null)
  } catch (error) {
    const position =
      error instanceof PgError && error.code === CANNOT_CAST ? error.fields.position : undefined
    // The cast around an argument, not one in it.
    if (position !== undefined && sql.startsWith('CAST((', position - 1)) throw refused(partAhead(position))
    throw moved(error, move)
  }
}

function cannotBeCoerced(i: number, { given, expected }: Parameter, position: number): PgError {
  return new PgError({
    code: '42804',
    message: `parameter $${i + 1} of type ${given} cannot be coerced to the expected type ${expected}`,
    hint: 'You will need to rewrite or cast the expression.',
    position,
  })
}

/** Types of what is given are found without evaluating it: no CASE comes to its arguments. */
async function parametersOf(
  session: ClientSession,
  text: string,
  args: readonly string[],
  types: readonly number[],
): Promise<readonly Parameter[]> {
  const wrap = (arg: string) => `pg_catalog.pg_typeof(CASE WHEN false THEN (${arg}) END)::pg_catalog.oid`
  const typed = args.filter((arg) => !isUntyped(arg))
  const { sql, move } = embedded(text, typed, wrap)
  const line = session.line(HOME)
  const given =
    typed.length === 0 ? [] : (await placed(queryShard(session, line, sql, [], READ), move)).rows[0]!
  const numbers = given.map((oid) => Number(oid!.toString()))
  const asked = args.map((arg, n) => ({ n, g: isUntyped(arg) ? 0 : numbers.shift(), e: types[n] }))
  const { rows } = await queryShard(session, line, TYPES, [JSON.stringify(asked)], READ)
  return rows.map((row) => {
    const [expected = '', given = '', isExplicit = ''] = row.map(String)
    return { expected, given, isExplicit: isExplicit === 't' }
  })
}

/** A string or NULL, which is of the type that it is used as. */
function isUntyped(arg: string): boolean {
  for (let t = nextToken(arg, 0); t; t = nextToken(arg, t.end)) {
    const isString = /^(?:[eE]?'|\$)/.test(arg.slice(t.start, t.end))
    if (!isString && !['(', ')', 'NULL'].includes(t.word)) return false
  }
  return true
}
