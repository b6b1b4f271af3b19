import { afterEach, expect, test } from 'vitest'
import type { ClusterAccess } from './cluster-access.ts'
import { createLogger } from './logger.ts'
import { Metrics } from './metrics.ts'
import { type AdminOptions, type AdminServer, startAdmin } from './server.ts'

let server: AdminServer | undefined
afterEach(async () => {
  await server?.stop()
  server = undefined
})

const start = async (notReady?: string, port = 0, more: Partial<AdminOptions> = {}): Promise<AdminServer> => {
  const metrics = new Metrics()
  metrics.gauge('weft_sessions', 'Clients.', () => 2)
  const status = () => ({ node: { commitTs: 2n ** 60n } })
  return startAdmin({
    host: '127.0.0.1',
    port,
    metrics,
    notReady: () => notReady,
    status,
    portSetting: '--admin-port',
    ...more,
  })
}

test('admin: a ready node: health, readiness, metrics and status', async () => {
  server = await start()
  const get = (path: string) => fetch(`${server?.url}${path}`)
  expect(await (await get('/health')).json()).toEqual({ status: 'ok' })
  expect(await (await get('/ready')).json()).toEqual({ ready: true })
  const metrics = await get('/metrics')
  expect(metrics.headers.get('content-type')).toContain('version=0.0.4')
  expect(await metrics.text()).toContain('weft_sessions 2')
  expect(await (await get('/api/status')).json()).toEqual({ node: { commitTs: '1152921504606846976' } })
  expect((await get('/nothing')).status).toBe(404)
})

test('admin: a shard is down: alive, not ready, and it says why', async () => {
  server = await start('shard 1 is down')
  expect((await fetch(`${server.url}/health`)).status).toBe(200)
  const ready = await fetch(`${server.url}/ready`)
  expect(ready.status).toBe(503)
  expect(await ready.json()).toEqual({ ready: false, why: 'shard 1 is down' })
})

test('admin: port taken: one line with the flag to use', async () => {
  server = await start()
  const { port } = server
  await expect(start(undefined, port)).rejects.toMatchObject({
    message: `port ${port} (admin) is already in use`,
    hint: 'Stop what uses it, or choose another with --admin-port.',
  })
})

const tokens = [
  { name: 'ann', role: 'admin', token: 'a-token-of-an-admin' },
  { name: 'vic', role: 'viewer', token: 'a-token-of-a-viewer' },
] as const

/** Nobody changes anything on this one. */
const cluster = (): ClusterAccess => ({
  cluster: 'c',
  shardCount: 1,
  query: async () => [],
  onShard: async () => [],
  status: async (shard) => ({ shard, up: true }),
  logged: async () => 'undecided',
  abort: async () => 'abort',
  explain: () => Promise.resolve([]),
})
const log = { info: () => undefined, warn: () => undefined }

test('admin: tokens: who has none or a wrong one sees nothing, a viewer changes nothing', async () => {
  server = await start(undefined, 0, { tokens, cluster, log })
  const ask = async (path: string, token?: string, method = 'GET'): Promise<number> => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    return (await fetch(`${server?.url}${path}`, { method, headers })).status
  }
  for (const path of ['/healthz', '/readyz', '/metrics', '/docs']) expect(await ask(path), path).toBe(200)
  for (const path of ['/api/status', '/api/sessions']) {
    expect([await ask(path), await ask(path, 'wrong')], path).toEqual([401, 401])
    expect([await ask(path, tokens[0].token), await ask(path, tokens[1].token)], path).toEqual([200, 200])
  }
  const kill = '/api/sessions/4194304/kill'
  expect([await ask(kill, undefined, 'POST'), await ask(kill, tokens[1].token, 'POST')]).toEqual([401, 403])
  expect(await ask(kill, tokens[0].token, 'POST')).toBe(404)
  for (let i = 0; i < 10; i++) await ask('/api/status', 'wrong')
  expect([await ask('/api/status', 'wrong'), await ask('/api/status', tokens[0].token)]).toEqual([429, 429])
})

test('admin: not only on this machine, and no tokens: nobody is let in but to what was open before', async () => {
  server = await start(undefined, 0, { host: '0.0.0.0', cluster, log })
  const url = `http://127.0.0.1:${server.port}`
  const statuses = ['/healthz', '/api/status', '/api/sessions'].map(
    async (path) => (await fetch(url + path)).status,
  )
  expect(await Promise.all(statuses)).toEqual([200, 200, 401])
})

test('admin: a node that does not serve yet says so', async () => {
  server = await start('starting', 0, { cluster: () => undefined, log })
  const response = await fetch(`${server.url}/api/sessions`)
  expect([response.status, await response.json()]).toEqual([
    503,
    { error: { message: 'this node does not serve yet', hint: 'See /readyz.' } },
  ])
})

test('logger: JSON for machines, a line for people', () => {
  const lines: string[] = []
  const write = (line: string) => void lines.push(line)
  createLogger({ write }).info({ shard: 1 }, 'shard is up')
  createLogger({ write, pretty: true }).warn({ shard: 1, err: new Error('refused') }, 'shard is down')
  expect(JSON.parse(lines[0]!)).toMatchObject({ level: 'info', shard: 1, msg: 'shard is up' })
  expect(lines[1]).toMatch(/^\d\d:\d\d:\d\d warn {2}shard is down {2}shard=1: refused\n$/)
})
