import type { Context, Span, SpanContext, Tracer } from '@opentelemetry/api'
import type { SpanExporter } from '@opentelemetry/sdk-trace-base'
import type { Logger } from '../admin/logger.ts'
import { version } from '../cluster/version.ts'
import type { OpenSpan, SpanOptions, TraceParent, Tracing } from '../coordinator/tracing/tracing.ts'
import { SetupError } from '../errors/setup-error.ts'

type Api = typeof import('@opentelemetry/api')
type Environment = Readonly<Record<string, string | undefined>>

export interface RunningTracing {
  readonly tracing: Tracing
  /** Sends what is left. */
  stop(): Promise<void>
}

/**
 * OpenTelemetry, if the environment asks for it by its usual variables: OTEL_TRACES_EXPORTER or an endpoint. Its packages
 * are not even loaded otherwise. What they understand themselves (samplers, limits, headers, timeouts) they read from it.
 */
export async function startTracing(env: Environment, log: Logger): Promise<RunningTracing | undefined> {
  const exporterName = exporterIn(env)
  if (exporterName === undefined) return undefined
  const [api, sdk, resources, exporter] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace-base'),
    import('@opentelemetry/resources'),
    exporterName === 'otlp' ? otlpExporter(env) : consoleExporter(),
  ])
  api.diag.setLogger(diagnostics(log), api.DiagLogLevel.WARN)
  const named = resources.resourceFromAttributes({ 'service.name': 'weft', 'service.version': version })
  const detected = resources.detectResources({ detectors: [resources.envDetector] })
  const provider = new sdk.BasicTracerProvider({
    resource: resources.defaultResource().merge(named).merge(detected),
    spanProcessors: [new sdk.BatchSpanProcessor(exporter)],
  })
  const tracing = new OpenTelemetry(api, provider.getTracer('weft', version))
  const stop = (): Promise<void> =>
    provider.shutdown().catch((err: unknown) => log.warn({ err }, 'traces: the last ones were not sent'))
  return { tracing, stop }
}

function exporterIn(env: Environment): 'otlp' | 'console' | undefined {
  if (env.OTEL_SDK_DISABLED?.toLowerCase() === 'true') return undefined
  const endpoint = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || env.OTEL_EXPORTER_OTLP_ENDPOINT
  const name = env.OTEL_TRACES_EXPORTER || (endpoint ? 'otlp' : 'none')
  if (name === 'none') return undefined
  if (name === 'otlp' || name === 'console') return name
  throw new SetupError(`OTEL_TRACES_EXPORTER=${name} is not known`, 'It may be otlp, console or none.')
}

async function otlpExporter(env: Environment): Promise<SpanExporter> {
  const protocol =
    env.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL || env.OTEL_EXPORTER_OTLP_PROTOCOL || 'http/protobuf'
  if (protocol === 'http/json') {
    const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http')
    return new OTLPTraceExporter()
  }
  if (protocol === 'http/protobuf') {
    const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto')
    return new OTLPTraceExporter()
  }
  throw new SetupError(
    `OTEL_EXPORTER_OTLP_PROTOCOL=${protocol} is not known`,
    'It may be http/protobuf or http/json; collectors take both on port 4318.',
  )
}

async function consoleExporter(): Promise<SpanExporter> {
  const { ConsoleSpanExporter } = await import('@opentelemetry/sdk-trace-base')
  return new ConsoleSpanExporter()
}

const TOLD_AGAIN_MS = 60_000

/** A collector that is away is told of once a minute, not with each batch. */
function diagnostics(log: Logger) {
  let toldMs = Number.NEGATIVE_INFINITY
  const tell = (why: string, ...more: unknown[]): void => {
    const now = performance.now()
    if (now - toldMs < TOLD_AGAIN_MS) return
    toldMs = now
    log.warn({ why: [why, ...more].map(String).join(' ').slice(0, 500) }, 'traces: not sent')
  }
  const nothing = (): void => {}
  return { error: tell, warn: tell, info: nothing, debug: nothing, verbose: nothing }
}

class OpenTelemetry implements Tracing {
  private readonly api: Api
  private readonly tracer: Tracer
  private readonly clock = new SteadyClock()

  constructor(api: Api, tracer: Tracer) {
    this.api = api
    this.tracer = tracer
  }

  span(name: string, { kind, startMs, within, parent, attributes = {} }: SpanOptions): OpenSpan {
    const { SpanKind } = this.api
    const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL }
    const options = { kind: kinds[kind], startTime: this.clock.epochMs(startMs), attributes }
    const span = this.tracer.startSpan(name, options, this.contextOf(within, parent))
    return new Traced(this.api, span, this.clock)
  }

  private contextOf(within: OpenSpan | undefined, parent: TraceParent | undefined): Context {
    const { ROOT_CONTEXT, trace } = this.api
    if (within instanceof Traced) return trace.setSpan(ROOT_CONTEXT, within.span)
    if (parent === undefined) return ROOT_CONTEXT
    return trace.setSpanContext(ROOT_CONTEXT, this.remote(parent))
  }

  private remote({ traceId, spanId, flags, state }: TraceParent): SpanContext {
    const traceState = state === undefined ? {} : { traceState: this.api.createTraceState(state) }
    return { traceId, spanId, traceFlags: flags, isRemote: true, ...traceState }
  }
}

class Traced implements OpenSpan {
  readonly span: Span
  private readonly api: Api
  private readonly clock: SteadyClock

  constructor(api: Api, span: Span, clock: SteadyClock) {
    this.api = api
    this.span = span
    this.clock = clock
  }

  rename(name: string): void {
    this.span.updateName(name)
  }

  set(attributes: Readonly<Record<string, string | number | boolean>>): void {
    this.span.setAttributes(attributes)
  }

  fail(code: string): void {
    this.span.setStatus({ code: this.api.SpanStatusCode.ERROR, message: code })
  }

  end(atMs: number): void {
    this.span.end(this.clock.epochMs(atMs))
  }
}

/** Milliseconds since 1970 of what `performance.now` tells. It follows the machine's clock when that has been set. */
class SteadyClock {
  private offsetMs = performance.timeOrigin

  epochMs(atMs: number): number {
    const now = Date.now() - performance.now()
    if (Math.abs(now - this.offsetMs) > SET_BY_MS) this.offsetMs = now
    return this.offsetMs + atMs
  }
}

const SET_BY_MS = 5
