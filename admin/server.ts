import rateLimit from '@fastify/rate-limit'
import swagger from '@fastify/swagger'
import { type FastifyInstance, type FastifyRequest, fastify } from 'fastify'
import { PgError } from '../errors/pg-error.ts'
import { SetupError } from '../errors/setup-error.ts'
import { AdminError } from './admin-error.ts'
import { nodeRoutes } from './api/node-routes.ts'
import { type NodeStatus, nodeStatus } from './api/node-status.ts'
import { apiRoutes, jsonSchema } from './api/routes.ts'
import { failure } from './api/schemas.ts'
import type { AuditLog } from './audit.ts'
import { type AdminToken, Guard } from './auth.ts'
import type { CertificateRule } from './client-certificate.ts'
import type { ClusterAccess } from './cluster-access.ts'
import { consoleRoutes } from './console-files.ts'
import type { Metrics } from './metrics.ts'

export interface AdminOptions {
  readonly host: string
  readonly port: number
  readonly metrics: Metrics
  /** Why this node cannot serve clients now; undefined when it can. */
  readonly notReady: () => string | undefined | Promise<string | undefined>
  /** What /api/status answers. */
  readonly status: () => NodeStatus | Promise<NodeStatus>
  /** Named in the message when the port is taken, for example `--admin-port`. */
  readonly portSetting: string
  /** Who may use /api; without any, and on loopback only, everybody. */
  readonly tokens?: readonly AdminToken[]
  /** HTTPS; with `ca`, which signs the certificates of clients, those that `clients` knows need no token. PEM. */
  readonly tls?: AdminTls | undefined
  /** Of one token, or without one, from one address. Default: 1200. Where everybody is let in: no limit. */
  readonly requestsPerMinute?: number | undefined
  /** What a coordinator's node has beyond that of an agent: the whole API. Undefined while it starts. */
  readonly cluster?: () => ClusterAccess | undefined
  readonly log?: AuditLog
  /** Its configuration, for people to look at: what is secret in it is hidden. */
  readonly settings?: object
  /** Where the built console is; default: beside the program. */
  readonly console?: URL
}

export interface AdminTls {
  readonly cert: string
  readonly key: string
  readonly ca?: string | undefined
  readonly clients: readonly CertificateRule[]
}

export interface AdminServer {
  readonly url: string
  readonly port: number
  stop(): Promise<void>
}

/**
 * The HTTP side of a node: whether it is alive and may take traffic, its metrics, and the admin API (/docs). Those first
 * ones are for everybody who reaches it; /api wants a token wherever that is not only this machine.
 */
export async function startAdmin(options: AdminOptions): Promise<AdminServer> {
  const app = appOf(options)
  const guard = new Guard({
    tokens: options.tokens ?? [],
    certificates: options.tls?.clients,
    isLoopback: isLoopback(options.host),
  })
  await app.register(swagger, {
    openapi: {
      openapi: '3.0.3',
      info: { title: 'Weft admin API', version: '1' },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
  })
  app.setErrorHandler((error, _, reply) => {
    const { status, ...body } = told(error)
    const { afterSeconds } = error as Partial<AdminError>
    if (afterSeconds !== undefined) void reply.header('retry-after', afterSeconds)
    return reply.code(status).type('application/json').serializer(JSON.stringify).send({ error: body })
  })
  app.setNotFoundHandler(({ method, url }) => {
    throw new AdminError(404, `there is no ${method} ${url}`, 'See /docs.')
  })
  if (guard.hasTokens) await limitRequests(app, guard, options.requestsPerMinute)
  routes(app, options, guard)
  nodeRoutes(app, options, guard)
  consoleRoutes(app, options.console)
  const { cluster, log } = options
  if (cluster !== undefined && log !== undefined) apiRoutes(app, { guard, cluster, log })
  try {
    await app.listen({ host: options.host, port: options.port })
  } catch (cause) {
    await app.close()
    throw portError(cause, options)
  }
  const bound = app.server.address()
  const port = bound !== null && typeof bound === 'object' ? bound.port : options.port
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  const scheme = options.tls === undefined ? 'http' : 'https'
  return { url: `${scheme}://${host}:${port}`, port, stop: () => app.close() }
}

const REQUESTS_PER_MINUTE = 1200

function appOf({ tls }: AdminOptions): FastifyInstance {
  const options = { forceCloseConnections: true, bodyLimit: 65_536, requestTimeout: 10_000 } as const
  if (tls === undefined) return fastify(options)
  const { cert, key, ca } = tls
  // Who has no certificate, or one that nobody knows, may still have a token, or ask how the node is.
  const clients = ca === undefined ? {} : { ca, requestCert: true, rejectUnauthorized: false }
  return fastify({ ...options, https: { cert, key, ...clients } }) as unknown as FastifyInstance
}

/** Of /api: health and metrics are asked for by machines, at a rate of their own. */
async function limitRequests(app: FastifyInstance, guard: Guard, max = REQUESTS_PER_MINUTE): Promise<void> {
  await app.register(rateLimit, {
    max,
    timeWindow: 60_000,
    cache: 10_000,
    // By its route: a path can be written in many ways.
    allowList: ({ routeOptions: { url } }: FastifyRequest) => url?.startsWith('/api') !== true,
    keyGenerator: (request: FastifyRequest) => `${request.ip} ${guard.tokenOf(request) ?? ''}`,
    errorResponseBuilder: (_, { ttl }) => {
      const hint = 'Ask less often, or raise admin.requestsPerMinute.'
      return new AdminError(429, `more than ${max} requests in a minute`, hint, Math.ceil(ttl / 1000))
    },
  })
}

function routes(app: FastifyInstance, options: AdminOptions, guard: Guard): void {
  const answer = async (): Promise<{ code: number; body: string }> => {
    const why = await options.notReady()
    return why === undefined
      ? { code: 200, body: '{"ready":true}' }
      : { code: 503, body: JSON.stringify({ ready: false, why }) }
  }
  for (const path of ['/health', '/healthz']) app.get(path, () => ({ status: 'ok' }))
  for (const path of ['/ready', '/readyz']) {
    app.get(path, async (_, reply) => {
      const { code, body } = await answer()
      return reply.code(code).type('application/json').send(body)
    })
  }
  app.get('/docs', (_, reply) => reply.send(app.swagger()))
  app.get('/metrics', async (_, reply) => {
    const text = await options.metrics.render()
    return reply.type(options.metrics.contentType).send(text)
  })
  const described = {
    schema: { summary: 'How this node and its shards are', tags: ['viewer'], ...statusAnswers() },
    // As it is: it is made by the same types.
    serializerCompiler: () => JSON.stringify,
  }
  app.get('/api/status', described, async (request, reply) => {
    guard.admitToStatus(request)
    const status = await options.status()
    return reply.send(status)
  })
}

function statusAnswers(): object {
  return { response: { 200: jsonSchema(nodeStatus, 'output'), default: jsonSchema(failure, 'output') } }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

/** In the words of who knows, with the status that programs go by. */
function told(error: unknown): { status: number; message: string; hint?: string; sqlstate?: string } {
  const hintOf = (hint: string | undefined) => (hint === undefined ? {} : { hint })
  if (error instanceof AdminError)
    return { status: error.status, message: error.message, ...hintOf(error.hint) }
  const { message } = error as Error
  if (error instanceof PgError) {
    const isAway = /^(08|53|57P)/.test(error.code)
    return { status: isAway ? 503 : 409, message, sqlstate: error.code, ...hintOf(error.fields.hint) }
  }
  // Of Fastify: not JSON, too large.
  const { statusCode = 500 } = error as { statusCode?: number }
  return { status: statusCode, message }
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
