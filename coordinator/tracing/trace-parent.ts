import type { TraceParent } from './tracing.ts'

/** Longer comments are not looked at. */
const COMMENT_BYTES_MAX = 4096

const TRACE_PARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/
const NO_TRACE = '0'.repeat(32)
const NO_SPAN = '0'.repeat(16)
const AT_END = /\/\*((?:[^*]|\*(?!\/))*)\*\/[\s;\0]*$/
/** What is given is a text, or a message Query with its length. */
const AT_START = /^(?:Q[\s\S]{4})?\s*\/\*((?:[^*]|\*(?!\/))*)\*\//

/** What the comment of sqlcommenter says that begins or ends a statement. */
export function traceParentIn(sql: Buffer): TraceParent | undefined {
  if (sql.indexOf('traceparent=') < 0) return undefined
  const end = sql.toString('latin1', Math.max(0, sql.length - COMMENT_BYTES_MAX))
  const start = sql.toString('latin1', 0, COMMENT_BYTES_MAX)
  // What looks like a comment at the end cannot be in a string: that would have to end after it.
  return fromComment(AT_END.exec(end)?.[1]) ?? fromComment(AT_START.exec(start)?.[1])
}

function fromComment(comment: string | undefined): TraceParent | undefined {
  if (comment === undefined) return undefined
  const [, traceId, spanId, flags] = TRACE_PARENT.exec(valueIn(comment, 'traceparent') ?? '') ?? []
  if (traceId === undefined || traceId === NO_TRACE || spanId === undefined || spanId === NO_SPAN)
    return undefined
  return { traceId, spanId, flags: Number.parseInt(flags!, 16), state: valueIn(comment, 'tracestate') }
}

/** Its values are encoded as in URLs, in quotes. */
function valueIn(comment: string, key: string): string | undefined {
  const [, value] = new RegExp(`(?:^|[,\\s])${key}='([^']*)'`).exec(comment) ?? []
  if (value === undefined) return undefined
  try {
    return decodeURIComponent(value)
  } catch {
    return undefined
  }
}
