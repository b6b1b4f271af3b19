import type { Db } from './run/db.ts'
import type { Snapshot, Transaction } from './run/transaction.ts'
import { encodeValue } from './sql/encode.ts'
import type { TypeParsers } from './wire/rows.ts'

/** Times and dates, and arrays of them: Drizzle makes of their texts what its columns say. */
const TEXTS = new Set([1082, 1114, 1184, 1186, 1182, 1115, 1185, 1187, 1231])

/** What `drizzle` of `drizzle-orm/pg-proxy` takes: sends a statement, and gives its rows. */
export type DrizzleRemote = (
  text: string,
  values: unknown[],
  method: 'all' | 'execute',
) => Promise<{ rows: unknown[] }>

/**
 * Drizzle on a Db, a transaction or a snapshot of this library, with its pool, retries and errors (each is the `cause` of
 * Drizzle's own). Begin transactions with `db.transaction`, and make a Drizzle on it, which costs nothing: what collides
 * is run again. Drizzle's own `transaction()` is refused by its driver.
 *
 * @throws nothing itself; statements as `db.query`.
 * @example
 * const orm = drizzle(drizzleRemote(db), { schema })
 * await db.transaction(async (tx) => {
 *   await drizzle(drizzleRemote(tx)).update(orders).set({ state: 'paid' }).where(eq(orders.id, 7))
 * })
 */
export function drizzleRemote(target: Db | Transaction | Snapshot): DrizzleRemote {
  return async (text, values, method) => {
    const compiled = { text, values: values.map((value) => encodeValue(value ?? null)) }
    if (method === 'execute') return { rows: [...(await target.queryCompiled(compiled)).rows] }
    return { rows: [...(await target.arraysCompiled(compiled, withTexts)).rows] }
  }
}

function withTexts(types: TypeParsers): TypeParsers {
  return {
    getTypeParser: (oid, format) => (TEXTS.has(oid) ? String : types.getTypeParser(oid, format)),
  }
}
