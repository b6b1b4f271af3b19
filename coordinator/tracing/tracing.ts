/**
 * What a node tells of its work when it is traced. Who collects it is not the coordinator's business
 * (embedded/open-telemetry.ts); without it nothing of this room is there.
 */
export interface Tracing {
  span(name: string, options: SpanOptions): OpenSpan
}

export interface SpanOptions {
  /** `client`: of somebody else's work that is waited for; `server`: asked for from outside. */
  readonly kind: 'server' | 'client' | 'internal'
  /** As `performance.now` tells it, like all times here. */
  readonly startMs: number
  /** It is a part of this; else of what the client does (`parent`), or of nothing. */
  readonly within?: OpenSpan | undefined
  readonly parent?: TraceParent | undefined
  readonly attributes?: Attributes
}

export type Attributes = Readonly<Record<string, string | number | boolean>>

export interface OpenSpan {
  rename(name: string): void
  set(attributes: Attributes): void
  /** With the SQLSTATE: messages may have values in them. */
  fail(code: string): void
  end(atMs: number): void
}

/** Of W3C Trace Context: the span of the client's that a statement belongs to. */
export interface TraceParent {
  readonly traceId: string
  readonly spanId: string
  readonly flags: number
  readonly state: string | undefined
}
