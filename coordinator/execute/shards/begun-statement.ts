import { PgError } from '../../../errors/pg-error.ts'
import type { StatementRef } from '../../../protocol/agent-link.ts'
import { parse } from '../../../protocol/wire/frontend-messages.ts'
import { type BegunText, begunText } from '../../../sql/plan/begun-text.ts'
import type { Execution } from '../context.ts'
import type { ExecEnd } from './replies.ts'

/** A write or COPY TO as it is sent to several shards under a cut: it tells when it has begun. */
export interface BegunStatement extends BegunText {
  /** Prepared under this name; undefined: parsed anew. */
  readonly ref: StatementRef | undefined
}

const TAGS: ReadonlySet<string> = new Set(['UPDATE', 'DELETE', 'INSERT', 'COPY'])
/** By the statement as the client wrote it. */
const known = new WeakMap<StatementRef, BegunStatement>()

/** `condition`: by which it tells. Undefined: a SELECT, whose snapshot is that of its Bind, or what looks for no rows. */
export function begunStatement(
  { plan, text, ref, paramTypes }: Execution,
  condition?: string,
): BegunStatement | undefined {
  if (!TAGS.has(plan.tag)) return undefined
  if (condition !== undefined) return withoutName(begunText(text, condition))
  const found = ref === undefined ? undefined : known.get(ref)
  if (found !== undefined) return found
  const begun = begunText(text)
  if (begun === undefined) return undefined
  if (ref === undefined) return { ...begun, ref }
  const name = `${ref.name}_b`
  const statement = { ...begun, ref: { name, parse: parse(name, begun.text, paramTypes) } }
  known.set(ref, statement)
  return statement
}

/** Nobody will ask for the very same again. */
const withoutName = (begun: BegunText | undefined): BegunStatement | undefined =>
  begun && { ...begun, ref: undefined }

/** A text in place of the client's. */
interface Replaced {
  positionBefore(position: number): number
}

/** The client's errors point into the client's text. */
export async function placedIn<T>(replaced: Replaced, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw error instanceof PgError ? placedError(replaced, error) : error
  }
}

export function placedError(replaced: Replaced, error: PgError): PgError {
  if (error.fields.position === undefined) return error
  const position = replaced.positionBefore(error.fields.position)
  return new PgError({ ...error.fields, position }, { cause: error })
}

export async function placedEnd<E extends ExecEnd>(replaced: Replaced, ended: Promise<E>): Promise<E> {
  const end = await ended
  return end.error === undefined ? end : { ...end, error: placedError(replaced, end.error) }
}
