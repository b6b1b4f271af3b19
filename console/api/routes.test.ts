import { afterAll, beforeAll, expect, test } from 'vitest'
import { Metrics } from '../../admin/metrics.ts'
import { type AdminServer, startAdmin } from '../../admin/server.ts'
import { filled, GETS, POSTS } from './routes.ts'

let server: AdminServer
beforeAll(async () => {
  server = await startAdmin({
    ...{ host: '127.0.0.1', port: 0, metrics: new Metrics(), portSetting: '--admin-port' },
    status: () => ({ role: 'agent', pid: 1, uptimeSeconds: 1, shards: [] }),
    ...{ notReady: () => undefined, cluster: () => undefined },
    log: { info: () => undefined, warn: () => undefined },
  })
})
afterAll(() => server.stop())

test('all that the console asks for is in the API, by the same method', async () => {
  const docs = (await (await fetch(`${server.url}/docs`)).json()) as {
    paths: Record<string, Record<string, unknown>>
  }
  const having = (method: string, paths: object) =>
    Object.keys(paths).filter((path) => docs.paths[path]?.[method] === undefined)
  expect(having('get', GETS)).toEqual([])
  expect(having('post', POSTS)).toEqual([])
})

test('filled: what is put into a path is escaped', () => {
  expect(filled('/api/tables/{table}', { table: 'public.a b/c' }, { limit: 5, since: undefined })).toBe(
    '/api/tables/public.a%20b%2Fc?limit=5',
  )
})
