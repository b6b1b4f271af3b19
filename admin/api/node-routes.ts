import type { FastifyInstance } from 'fastify'
import type { z } from 'zod'
import type { Guard } from '../auth.ts'
import type { ClusterAccess } from '../cluster-access.ts'
import { Recorder } from '../history/history.ts'
import type { Metrics } from '../metrics.ts'
import { checked, jsonSchema } from './routes.ts'
import * as schemas from './schemas.ts'
import { settingsOf } from './settings.ts'

export interface NodeRoutesOptions {
  readonly metrics: Metrics
  /** Absent: an agent. */
  readonly cluster?: () => ClusterAccess | undefined
  /** Its configuration. */
  readonly settings?: object
}

/** What every node tells of itself, agents too, and also before it serves. */
export function nodeRoutes(app: FastifyInstance, options: NodeRoutesOptions, guard: Guard): void {
  const { metrics, cluster } = options
  const recorder = new Recorder({ metrics, cluster: () => cluster?.() })
  void recorder.take()
  app.addHook('onClose', async () => recorder.stop())
  const schema = (summary: string, answer: z.ZodType, query?: z.ZodType) => ({
    ...{ summary, tags: ['viewer'] },
    ...(query === undefined ? {} : { querystring: jsonSchema(query, 'input') }),
    response: { 200: jsonSchema(answer, 'output'), default: jsonSchema(schemas.failure, 'output') },
  })
  const own = { validatorCompiler: () => () => true }
  app.get(
    '/api/whoami',
    { ...own, schema: schema('Who asks, and what they may', schemas.whoami) },
    (request) => {
      const { name, role } = guard.admit(request, 'viewer')
      return { name, role, login: guard.hasTokens, node: cluster === undefined ? 'agent' : 'cluster' }
    },
  )
  app.get(
    '/api/settings',
    { ...own, schema: schema('How this node and the servers are set', schemas.settings) },
    (request) => {
      guard.admit(request, 'viewer')
      return settingsOf(options.settings ?? {}, cluster?.())
    },
  )
  const history = schema('What this node counted in the last ten minutes', schemas.history, schemas.since)
  app.get('/api/history', { ...own, schema: history }, (request) => {
    guard.admit(request, 'viewer')
    return recorder.since(checked(schemas.since, request.query).since)
  })
}
