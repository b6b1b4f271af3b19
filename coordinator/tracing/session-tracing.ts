import type { PgError } from '../../errors/pg-error.ts'
import type { StatementStat } from '../statistics/statement-stats.ts'
import { traceParentIn } from './trace-parent.ts'
import type { Attributes, OpenSpan, TraceParent, Tracing } from './tracing.ts'

interface Part {
  readonly name: string
  readonly startMs: number
  readonly endMs: number
}

/** What one session tells of its statements: a span for each, and below it planning, shards, cuts, phases of its commit. */
export class SessionTracing {
  private readonly tracing: Tracing
  private readonly pid: number
  private readonly isInBlock: () => boolean
  /** The client's span: of the statement, else of the last one of its transaction that named one. */
  private parent: TraceParent | undefined
  private sql: Buffer | undefined
  private heardMs: number | undefined
  /** What was done for a statement before its span began: reading it. */
  private parts: Part[] = []
  private statement: OpenSpan | undefined

  constructor(tracing: Tracing, pid: number, isInBlock: () => boolean) {
    this.tracing = tracing
    this.pid = pid
    this.isInBlock = isInBlock
  }

  /** A statement's text has come, or is to run; undefined: it needs none that is of interest. */
  heard(sql: Buffer | undefined): void {
    const isKnown = this.heardMs !== undefined || this.statement !== undefined
    if (sql !== undefined && sql === this.sql && isKnown) return
    this.over()
    this.sql = sql
    this.heardMs = performance.now()
    const parent = sql && traceParentIn(sql)
    if (parent !== undefined || !this.isInBlock()) this.parent = parent
  }

  /** It runs. One that is begun again, another way, is still the same. */
  begin(): void {
    if (this.statement === undefined) this.open('statement')
    else this.statement.rename('statement')
  }

  private open(name: string): void {
    const startMs = this.heardMs ?? performance.now()
    const attributes = { 'db.system.name': 'postgresql', 'weft.pid': this.pid }
    this.statement = this.tracing.span(name, { kind: 'server', startMs, parent: this.parent, attributes })
    for (const part of this.parts) this.part(part)
    this.parts = []
    this.heardMs = undefined
  }

  ended(stat: StatementStat | undefined, rows: number, shards: number): void {
    const { statement } = this
    if (statement === undefined) return
    if (stat !== undefined) {
      const { kind, query, route } = stat
      statement.rename(kind)
      statement.set({
        'db.operation.name': kind,
        'db.query.text': query,
        'weft.route': route,
        'weft.shards': shards,
        'db.response.returned_rows': rows,
      })
    }
    this.over()
  }

  /** The client is told of an error, in a statement or before there was one. */
  failed(code: string): void {
    if (this.heardMs !== undefined) this.open('statement')
    this.statement?.set({ 'db.response.status_code': code, 'error.type': code })
    this.statement?.fail(code)
    this.over()
  }

  /** Nothing is under way: what was only prepared is that. */
  idle(): void {
    this.over()
  }

  /** The client is gone. */
  closed(): void {
    this.statement?.fail('the client left')
    this.over()
  }

  private over(): void {
    this.statement?.end(performance.now())
    this.statement = undefined
    this.parts = []
    this.heardMs = undefined
    this.sql = undefined
  }

  /** Does a part of the work for the statement. */
  timed<T>(name: string, work: () => T): T {
    const startMs = performance.now()
    const done = (): void => this.part({ name, startMs, endMs: performance.now() })
    let result: T | undefined
    try {
      result = work()
      return result
    } finally {
      if (result instanceof Promise) void result.then(done, done)
      else done()
    }
  }

  private part(part: Part): void {
    const { statement } = this
    if (statement === undefined) this.parts.push(part)
    else this.span(part.name, part.startMs).end(part.endMs)
  }

  /** A request goes to a shard; undefined: for no statement. */
  shard(shard: number): OpenSpan | undefined {
    if (this.statement === undefined) {
      if (this.heardMs === undefined) return undefined
      this.open('prepare')
    }
    const attributes = { 'db.system.name': 'postgresql', 'weft.shard': shard }
    return this.span(`shard ${shard}`, performance.now(), attributes, 'client')
  }

  shardFailed(span: OpenSpan, { code }: PgError): void {
    span.set({ 'db.response.status_code': code, 'error.type': code })
    span.fail(code)
  }

  /** A phase of its commit over several shards is over. */
  phaseEnded(phase: string, tookMs: number, txnId: string): void {
    const endMs = performance.now()
    this.statement?.set({ 'weft.transaction': txnId })
    this.span(phase, endMs - tookMs, { 'weft.transaction': txnId }).end(endMs)
  }

  private span(
    name: string,
    startMs: number,
    attributes: Attributes = {},
    kind: 'client' | 'internal' = 'internal',
  ): OpenSpan {
    const { statement: within, parent } = this
    return this.tracing.span(name, { kind, startMs, within, parent, attributes })
  }
}
