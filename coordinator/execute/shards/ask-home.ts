import { invariant, PgError } from '../../../errors/pg-error.ts'
import type { ShardKey } from '../../../sql/catalog.ts'
import { slotExpression } from '../../../sql/hash/slot-expression.ts'
import { storedType } from '../../../sql/hash/stored-type.ts'
import type { ShardRunner } from './shard-runner.ts'

const HOME = 0

/** Rows of defaults that only the home shard can give: its sequences are the cluster's. Texts. */
export async function fetchFills(
  runner: ShardRunner,
  fill: readonly { readonly expression: string }[],
  rows: number,
): Promise<readonly (readonly (string | null)[])[]> {
  const columns = fill.map((f) => `(${f.expression})::text`).join(', ')
  const sql = `SELECT ${columns} FROM generate_series(1, ${rows})`
  const result = await runner.query(HOME, sql, [], 'write')
  invariant(result.rows.length === rows, 'one row of defaults for each row')
  return result.rows
}

/** Slots of keys that only Postgres can read for certain. Their texts are what the key's input function gets. */
export async function fetchSlots(
  runner: ShardRunner,
  key: ShardKey,
  texts: readonly string[],
): Promise<readonly number[]>
/** `if valid`: undefined for texts that the input function does not take. */
export async function fetchSlots(
  runner: ShardRunner,
  key: ShardKey,
  texts: readonly string[],
  which: 'if valid',
): Promise<readonly (number | undefined)[]>
export async function fetchSlots(
  runner: ShardRunner,
  key: ShardKey,
  texts: readonly string[],
  which?: 'if valid',
): Promise<readonly (number | undefined)[]> {
  const type = storedType(key.type, key.typmod)
  const slot = slotExpression(key.type, `(v::${type})`)
  const checked = which && `CASE WHEN pg_input_is_valid(v, '${type}') THEN ${slot} END`
  const sql = `SELECT ${checked ?? slot} FROM unnest($1::text[]) WITH ORDINALITY AS u(v, n) ORDER BY n`
  const { rows } = await runner.query(HOME, sql, [arrayText(texts)])
  return rows.map(([number]) => (number == null ? undefined : Number(number)))
}

const arrayText = (texts: readonly string[]): string =>
  `{${texts.map((t) => `"${t.replace(/["\\]/g, (c) => `\\${c}`)}"`).join(',')}}`

/** The first key that an input function's error names: it prints the value at the end of its message. */
export function culpritOf(error: unknown, texts: readonly (string | null)[]): number {
  if (!(error instanceof PgError)) return -1
  return texts.findIndex((text) => text !== null && error.message.includes(`"${text}"`))
}
