import { type FastifyInstance, fastify } from 'fastify'
import { SetupError } from '../errors/setup-error.ts'
import type { Metrics } from './metrics.ts'

export interface AdminOptions {
  readonly host: string
  readonly port: number
  readonly metrics: Metrics
  /** Why this node cannot serve clients now; undefined when it can. */
  readonly notReady: () => string | undefined | Promise<string | undefined>
  /** What /api/status answers: anything JSON can carry, and bigint. */
  readonly status: () => unknown
  /** Named in the message when the port is taken, for example `--admin-port`. */
  readonly portSetting: string
}

export interface AdminServer {
  readonly url: string
  readonly port: number
  stop(): Promise<void>
}

/** The HTTP side of a node: /health, /ready, /metrics and /api/status. It has no login: bind it inside. */
export async function startAdmin(options: AdminOptions): Promise<AdminServer> {
  const app = fastify({ forceCloseConnections: true, bodyLimit: 65_536, requestTimeout: 10_000 })
  routes(app, options)
  try {
    await app.listen({ host: options.host, port: options.port })
  } catch (cause) {
    await app.close()
    throw portError(cause, options)
  }
  const bound = app.server.address()
  const port = bound !== null && typeof bound === 'object' ? bound.port : options.port
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  return { url: `http://${host}:${port}`, port, stop: () => app.close() }
}

function routes(app: FastifyInstance, options: AdminOptions): void {
  const answer = async (): Promise<{ code: number; body: string }> => {
    const why = await options.notReady()
    return why === undefined
      ? { code: 200, body: '{"ready":true}' }
      : { code: 503, body: JSON.stringify({ ready: false, why }) }
  }
  app.get('/health', () => ({ status: 'ok' }))
  app.get('/ready', async (_, reply) => {
    const { code, body } = await answer()
    return reply.code(code).type('application/json').send(body)
  })
  app.get('/metrics', (_, reply) => reply.type('text/plain; version=0.0.4').send(options.metrics.render()))
  app.get('/api/status', async (_, reply) => {
    const status = await options.status()
    return reply.type('application/json').send(JSON.stringify(status, numbers))
  })
}

/** Timestamps are bigint: as text, they keep all their digits. */
function numbers(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}

function portError(cause: unknown, options: AdminOptions): unknown {
  const code = (cause as NodeJS.ErrnoException).code
  if (code === 'EADDRINUSE') {
    const message = `port ${options.port} (admin) is already in use`
    return new SetupError(message, `Stop what uses it, or choose another with ${options.portSetting}.`, {
      cause,
    })
  }
  if (code === 'EACCES' || code === 'EADDRNOTAVAIL') {
    const message = `cannot listen on ${options.host}:${options.port} (admin): ${(cause as Error).message}`
    return new SetupError(message, `Choose another address with ${options.portSetting}.`, { cause })
  }
  return cause
}
