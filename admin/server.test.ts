import { EventEmitter, once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import https from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { pathToFileURL } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { strangerTls } from '../test/helpers/stranger-tls.ts'
import { testTls } from '../test/helpers/test-tls.ts'
import type { History } from './api/schemas.ts'
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
  const status = () => ({ role: 'agent', pid: 7, uptimeSeconds: 1, shards: [] }) as const
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
  expect(await (await get('/api/status')).json()).toMatchObject({ role: 'agent', pid: 7 })
  const nothing = await get('/nothing')
  expect([nothing.status, await nothing.json()]).toEqual([
    404,
    { error: { message: 'there is no GET /nothing', hint: 'See /docs.' } },
  ])
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
  records: async () => [],
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

test('admin: too many requests: 429, with when to ask again; health and metrics are not counted', async () => {
  server = await start(undefined, 0, { tokens, cluster, log, requestsPerMinute: 10 })
  const ask = (path: string, token: string) =>
    fetch(`${server?.url}${path}`, { headers: { authorization: `Bearer ${token}` } })
  for (let i = 0; i < 10; i++) expect((await ask('/api/sessions', tokens[0].token)).status).toBe(200)
  const refused = await ask('/api/sessions', tokens[0].token)
  expect([refused.status, await refused.json()]).toMatchObject([
    429,
    { error: { message: 'more than 10 requests in a minute' } },
  ])
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
  expect((await ask('/api/sessions', tokens[1].token)).status).toBe(200)
  for (const path of ['/healthz', '/readyz', '/metrics'])
    expect((await ask(path, tokens[0].token)).status, path).toBe(200)
  for (let i = 0; i < 10; i++) await ask('/api/status', `wrong${i}`)
  expect(Number((await ask('/api/status', 'wrong')).headers.get('retry-after'))).toBeGreaterThan(0)
})

test('admin: the limit of requests: no way around it by another path or header', async () => {
  server = await start(undefined, 0, { tokens, cluster, log, requestsPerMinute: 10 })
  const ask = async (path: string, authorization: string): Promise<Response> =>
    fetch(`${server?.url}${path}`, { headers: { authorization } })
  const valid = `Bearer ${tokens[0].token}`
  for (let i = 0; i < 10; i++) expect((await ask('/%61pi/sessions', valid)).status).toBe(200)
  const others = [await ask('/%61pi/sessions', valid), await ask('/api/sessions', valid.replace('B', 'b'))]
  expect(others.map(({ status }) => status)).toEqual([429, 429])
  for (let i = 0; i < 10; i++) await ask('/api/sessions', `Junk ${i}`)
  expect((await ask('/api/sessions', 'Junk 11')).status).toBe(429)
  expect((await ask('/api/sessions', `Bearer ${tokens[1].token}`)).status).toBe(200)
})

test('admin: the limit of requests does not tell a right token after too many wrong ones', async () => {
  server = await start(undefined, 0, { tokens, cluster, log })
  const left = async (token: string): Promise<number> => {
    const headers = { authorization: `Bearer ${token}` }
    const { headers: answered } = await fetch(`${server?.url}/api/sessions`, { headers })
    return Number(answered.get('x-ratelimit-remaining'))
  }
  for (let i = 0; i < 10; i++) await left('wrong')
  expect((await left('wrong')) - (await left(tokens[0].token))).toBe(1)
})

test('admin: a file to explain: of a viewer not a large one, and none when the asker is gone', async () => {
  const asked = new EventEmitter()
  const explain = async (text: string, _: readonly string[], signal?: AbortSignal) => {
    if (text !== 'wait') return []
    asked.emit('asked')
    await once(signal!, 'abort')
    asked.emit('stopped')
    return []
  }
  server = await start(undefined, 0, { tokens, cluster: () => ({ ...cluster(), explain }), log })
  const post = (text: string, { token }: { token: string }, signal?: AbortSignal) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const body = JSON.stringify({ text })
    return fetch(`${server?.url}/api/explain`, { method: 'POST', headers, body, ...(signal && { signal }) })
  }
  const [admin, viewer] = tokens
  const large = '-'.repeat(1_100_000)
  const answers = [await post(large, admin), await post(large, viewer), await post('', viewer)]
  expect(answers.map(({ status }) => status)).toEqual([200, 413, 200])
  const leaving = new AbortController()
  const [begun, stopped] = [once(asked, 'asked'), once(asked, 'stopped')]
  const left = expect(post('wait', viewer, leaving.signal)).rejects.toThrow('aborted')
  await begun
  leaving.abort()
  await Promise.all([left, stopped])
})

test('admin: a name in the path is not another one in the query', async () => {
  server = await start(undefined, 0, { cluster, log })
  const answer = await (await fetch(`${server.url}/api/tables/one?table=two`)).json()
  expect(answer).toMatchObject({ error: { message: 'there is no table one' } })
})

/** Over TLS, with a certificate or without. */
function askTls(
  path: string,
  more: https.RequestOptions & { session?: Buffer } = {},
  method = 'GET',
): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = { method, ca: testTls.cert, host: '127.0.0.1', port: server!.port, path, ...more }
    const request = https.request(options, (response) => resolve(response.resume().statusCode ?? 0))
    request.on('error', reject).end()
  })
}

test('admin: certificates of clients: the role that the rules say; without one, or a strange one, a token', async () => {
  const clients = [{ role: 'viewer', cn: 'localhost' }] as const
  server = await start(undefined, 0, { tokens, cluster, log, tls: { ...testTls, ca: testTls.cert, clients } })
  expect(server.url).toBe(`https://127.0.0.1:${server.port}`)
  expect(await askTls('/api/sessions')).toBe(401)
  expect(await askTls('/api/sessions', strangerTls)).toBe(401)
  expect(await askTls('/api/sessions', testTls)).toBe(200)
  expect(await askTls('/api/status', testTls)).toBe(200)
  const kill = '/api/sessions/4194304/kill'
  expect(await askTls(kill, testTls, 'POST')).toBe(403)
  const headers = { authorization: `Bearer ${tokens[0].token}` }
  expect(await askTls(kill, { headers }, 'POST')).toBe(404)
  expect(await askTls('/api/sessions', { ...testTls, headers: { origin: 'https://evil.example' } })).toBe(403)
  for (const path of ['/healthz', '/metrics']) expect(await askTls(path), path).toBe(200)
})

test('admin: certificates: a connection that resumes one without a certificate has none either', async () => {
  const clients = [{ role: 'viewer', cn: 'localhost' }] as const
  server = await start(undefined, 0, { tokens, cluster, log, tls: { ...testTls, ca: testTls.cert, clients } })
  const { port } = server
  const session = await new Promise<Buffer>((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', ca: testTls.cert }, () =>
      socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n'),
    )
    socket.once('session', (ticket) => {
      socket.destroy()
      resolve(ticket)
    })
    socket.once('error', reject)
  })
  expect(await askTls('/api/sessions', { session })).toBe(401)
  const headers = { authorization: `Bearer ${tokens[0].token}` }
  expect(await askTls('/api/sessions', { session, headers })).toBe(200)
})

test('admin: certificates alone, on loopback: nobody is let in without one', async () => {
  const clients = [{ role: 'admin', san: 'DNS:localhost' }] as const
  server = await start(undefined, 0, { cluster, log, tls: { ...testTls, ca: testTls.cert, clients } })
  expect([await askTls('/api/status'), await askTls('/api/status', testTls)]).toEqual([401, 200])
  expect(await askTls('/api/sessions/4194304/kill', testTls, 'POST')).toBe(404)
})

test('admin: a node that does not serve yet says so', async () => {
  server = await start('starting', 0, { cluster: () => undefined, log })
  const response = await fetch(`${server.url}/api/sessions`)
  expect([response.status, await response.json()]).toEqual([
    503,
    { error: { message: 'this node does not serve yet', hint: 'See /readyz.' } },
  ])
})

test('admin: the console: for everybody, with a policy that lets in nothing from elsewhere', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'weft-console-'))
  for (const name of ['index.html', 'app.js', 'app.css']) await writeFile(join(directory, name), name)
  server = await start(undefined, 0, { tokens, console: pathToFileURL(`${directory}/`) })
  const page = await fetch(`${server.url}/`)
  expect([page.status, await page.text(), page.headers.get('content-type')]).toEqual([
    200,
    'index.html',
    'text/html; charset=utf-8',
  ])
  const policy = page.headers.get('content-security-policy')
  expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';/)
  expect(policy).not.toContain('unsafe')
  expect(await (await fetch(`${server.url}/console/app.js`)).text()).toBe('app.js')
  const headers = { 'if-none-match': page.headers.get('etag') ?? '' }
  expect((await fetch(`${server.url}/`, { headers })).status).toBe(304)
  expect((await fetch(`${server.url}/console/other.js`)).status).toBe(404)
  await server.stop()
  await rm(directory, { recursive: true })
  server = await start(undefined, 0, { console: pathToFileURL(`${directory}/`) })
  const missing = await fetch(`${server.url}/`)
  expect([missing.status, await missing.json()]).toMatchObject([
    404,
    { error: { message: 'the console is not built' } },
  ])
})

test('admin: who asks is told who they are, agents too', async () => {
  const who = async (token?: string) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    return (await fetch(`${server?.url}/api/whoami`, { headers })).json()
  }
  server = await start(undefined, 0, { tokens, cluster, log })
  expect(await who()).toMatchObject({ error: { message: 'no token' } })
  expect(await who(tokens[1].token)).toEqual({ name: 'vic', role: 'viewer', login: true, node: 'cluster' })
  await server.stop()
  server = await start()
  expect(await who()).toEqual({ name: 'local', role: 'admin', login: false, node: 'agent' })
})

test('admin: the last minutes of a node', async () => {
  server = await start(undefined, 0, { cluster, log })
  const history = async (query = '') =>
    (await (await fetch(`${server?.url}/api/history${query}`)).json()) as History
  await expect
    .poll(async () => (await history()).samples[0])
    .toMatchObject({ sessions: 2, shards: [{ up: true }] })
  const { samples } = await history()
  expect((await history(`?since=${samples.at(-1)?.at}`)).samples).not.toContainEqual(samples[0])
  expect((await fetch(`${server.url}/api/history?since=yesterday`)).status).toBe(400)
})

test('logger: JSON for machines, a line for people', () => {
  const lines: string[] = []
  const write = (line: string) => void lines.push(line)
  createLogger({ write }).info({ shard: 1 }, 'shard is up')
  createLogger({ write, pretty: true }).warn({ shard: 1, err: new Error('refused') }, 'shard is down')
  expect(JSON.parse(lines[0]!)).toMatchObject({ level: 'info', shard: 1, msg: 'shard is up' })
  expect(lines[1]).toMatch(/^\d\d:\d\d:\d\d warn {2}shard is down {2}shard=1: refused\n$/)
})
