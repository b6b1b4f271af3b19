import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import { AdminError } from './admin-error.ts'

const FILES = [
  { path: '/', file: 'index.html', type: 'text/html; charset=utf-8' },
  { path: '/console/app.js', file: 'app.js', type: 'text/javascript; charset=utf-8' },
  { path: '/console/app.css', file: 'app.css', type: 'text/css; charset=utf-8' },
] as const

/** What a page of ours may do: its own script, its own style, and requests to the node that it is from. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const HEADERS = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  // A node that was upgraded has another one.
  'cache-control': 'no-cache',
}

/**
 * The web console (console/), as scripts/build.js leaves it beside the program. There is nothing secret in it, so it is for
 * everybody; what it shows it asks the API for.
 */
export function consoleRoutes(
  app: FastifyInstance,
  directory: URL = new URL('console/', import.meta.url),
): void {
  for (const { path, file, type } of FILES) {
    const url = new URL(file, directory)
    const content = existsSync(url) ? readFileSync(url) : undefined
    const tag = content === undefined ? '' : `"${createHash('sha256').update(content).digest('base64url')}"`
    app.get(path, { schema: { hide: true } }, (request, reply) => {
      if (content === undefined)
        throw new AdminError(404, 'the console is not built', 'Run npm run build in the checkout.')
      void reply.headers({ ...HEADERS, etag: tag }).type(type)
      if (request.headers['if-none-match'] === tag) return reply.code(304).send()
      return reply.send(content)
    })
  }
}
