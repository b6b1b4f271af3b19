import { PgError } from '../../errors/pg-error.ts'
import type { StatementRef } from '../../protocol/agent-link.ts'
import { MSG } from '../../protocol/wire/frames.ts'
import {
  type BindMessage,
  type ParseMessage,
  parse,
  parseBind,
  parseClose,
  parseDescribe,
  parseExecute,
  parseParse,
  rewriteBindStatement,
  SYNC,
  type Target,
} from '../../protocol/wire/frontend-messages.ts'
import type { ForwardPlan } from '../../sql/plan/plan.ts'
import type { Planner, PlanScope } from '../execute/plans/planner.ts'
import type { ShardLine } from '../execute/shards/shard-line.ts'
import { Prepared } from './prepared.ts'

interface Framed {
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
}

/** One message of the extended protocol, decoded as far as a router must. */
export type Op =
  | { readonly kind: 'parse'; readonly message: ParseMessage }
  | { readonly kind: 'bind'; readonly message: BindMessage }
  | ({ readonly kind: 'describe'; readonly target: Target; readonly name: string } & Framed)
  | ({ readonly kind: 'execute'; readonly portal: string; readonly maxRows: number } & Framed)
  | ({ readonly kind: 'close'; readonly target: Target; readonly name: string } & Framed)
  /** A message that makes no sense: its error is told when its turn comes. */
  | { readonly kind: 'malformed'; readonly error: PgError }

/** A pipeline that never syncs is worked off in pieces of this size. */
const OPS_MAX = 1000
const BYTES_MAX = 32 << 20

/** Messages of the extended protocol since the last Sync or Flush. */
export class Batch {
  readonly ops: Op[] = []
  private bytes = 0

  get isEmpty(): boolean {
    return this.ops.length === 0
  }

  get isFull(): boolean {
    return this.ops.length >= OPS_MAX || this.bytes > BYTES_MAX
  }

  clear(): void {
    this.ops.length = 0
    this.bytes = 0
  }

  /** Decodes and gathers a message. Throws 08P01 for one that makes no sense. */
  add(type: number, buffer: Buffer, start: number, end: number): void {
    this.ops.push(decode(type, buffer, start, end))
    this.bytes += end - start
  }

  malformed(error: PgError): void {
    this.ops.push({ kind: 'malformed', error })
  }

  /** Messages for the backend: the gathered ones under the backend's statement name, and a Sync. */
  payload(direct: DirectBatch, ref: StatementRef | undefined, line: ShardLine): Buffer {
    const { statement, bind, describe, execute } = direct
    const parts: Buffer[] = []
    if (ref === undefined) parts.push(parse('', statement.sql, line.typesHere(statement.declaredTypes)))
    parts.push(rewriteBindStatement(bind, ref?.name ?? ''))
    if (describe !== undefined && describe.buffer === execute.buffer && describe.end === execute.start) {
      parts.push(execute.buffer.subarray(describe.start, execute.end))
    } else {
      if (describe !== undefined) parts.push(describe.buffer.subarray(describe.start, describe.end))
      parts.push(execute.buffer.subarray(execute.start, execute.end))
    }
    parts.push(SYNC)
    return Buffer.concat(parts)
  }
}

function decode(type: number, buffer: Buffer, start: number, end: number): Op {
  const body = start + 5
  switch (type) {
    case MSG.parse:
      return { kind: 'parse', message: parseParse(buffer, body, end) }
    case MSG.bind:
      return { kind: 'bind', message: parseBind(buffer, body, end) }
    case MSG.describe:
      return { kind: 'describe', ...parseDescribe(buffer, body, end), buffer, start, end }
    case MSG.close:
      return { kind: 'close', ...parseClose(buffer, body, end), buffer, start, end }
    case MSG.execute: {
      const { portal, maxRows } = parseExecute(buffer, body, end)
      return { kind: 'execute', portal, maxRows, buffer, start, end }
    }
    default:
      throw new PgError({
        severity: 'FATAL',
        code: '08P01',
        message: `invalid frontend message type ${type}`,
      })
  }
}

/** A batch that is one statement's whole way: perhaps Parse, Bind, perhaps Describe, Execute, Sync. */
export interface DirectBatch {
  readonly statement: Prepared
  readonly plan: ForwardPlan
  readonly bind: BindMessage
  readonly describe: Framed | undefined
  readonly execute: Framed
  /** Parse was part of it: the client waits for a ParseComplete. */
  readonly parsed: boolean
}

interface StatementHolder {
  readonly prepared: Map<string, Prepared>
  readonly planner: Planner
  readonly node: { readonly schema: { readonly epoch: number } }
  scope(): PlanScope
}

/** Recognizes a direct batch whose plan is known. A Parse in it takes effect here. */
export function directBatch(session: StatementHolder, batch: Batch): DirectBatch | undefined {
  const { ops } = batch
  let at = 0
  const first = ops[at]
  const parsed = first?.kind === 'parse' ? first.message : undefined
  if (parsed !== undefined) at++
  const bind = ops[at++]
  if (bind?.kind !== 'bind' || bind.message.portal !== '') return undefined
  const next = ops[at]
  const describe = next?.kind === 'describe' ? next : undefined
  if (describe !== undefined) at++
  const execute = ops[at++]
  if (execute?.kind !== 'execute' || execute.portal !== '' || execute.maxRows !== 0) return undefined
  if (at !== ops.length) return undefined
  if (describe !== undefined && (describe.target !== 'P' || describe.name !== '')) return undefined
  const statement = statementOf(session, parsed, bind.message)
  if (statement === undefined) return undefined
  const scope = session.scope()
  if (statement.isOutdated(scope, session.node.schema.epoch)) return undefined
  const plan = statement.planUnder(scope, session.planner)
  if (plan?.kind !== 'forward' || bind.message.paramLengths.length !== statement.paramCount(plan))
    return undefined
  if (parsed !== undefined) session.prepared.set(statement.name, statement)
  statement.uses++
  return { statement, plan, bind: bind.message, describe, execute, parsed: parsed !== undefined }
}

function statementOf(
  session: StatementHolder,
  parsed: ParseMessage | undefined,
  bind: BindMessage,
): Prepared | undefined {
  if (parsed === undefined) return session.prepared.get(bind.statement)
  // A named statement is described first: what it returns is fixed from then on.
  if (parsed.name !== '' || bind.statement !== '') return undefined
  return new Prepared(parsed.name, parsed.buffer.subarray(parsed.sqlStart, parsed.sqlEnd), parsed.paramTypes)
}
