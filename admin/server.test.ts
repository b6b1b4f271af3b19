import { afterEach, expect, test } from 'vitest'
import { createLogger } from './logger.ts'
import { Metrics } from './metrics.ts'
import { type AdminServer, startAdmin } from './server.ts'

let server: AdminServer | undefined
afterEach(async () => {
  await server?.stop()
  server = undefined
})

const start = async (notReady?: string, port = 0): Promise<AdminServer> => {
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

test('logger: JSON for machines, a line for people', () => {
  const lines: string[] = []
  const write = (line: string) => void lines.push(line)
  createLogger({ write }).info({ shard: 1 }, 'shard is up')
  createLogger({ write, pretty: true }).warn({ shard: 1, err: new Error('refused') }, 'shard is down')
  expect(JSON.parse(lines[0]!)).toMatchObject({ level: 'info', shard: 1, msg: 'shard is up' })
  expect(lines[1]).toMatch(/^\d\d:\d\d:\d\d warn {2}shard is down {2}shard=1: refused\n$/)
})
