import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Metrics } from '../admin/metrics.ts'
import { type AdminServer, startAdmin } from '../admin/server.ts'
import { testTls } from '../test/helpers/test-tls.ts'
import { ask } from './api.ts'

let server: AdminServer
let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weft-admin-'))
  for (const [name, text] of Object.entries(testTls)) await writeFile(join(directory, name), text)
  server = await startAdmin({
    ...{ host: '127.0.0.1', port: 0, portSetting: '--admin-port', metrics: new Metrics() },
    notReady: () => undefined,
    status: () => ({ role: 'agent', pid: 7, uptimeSeconds: 1, shards: [] }),
    tls: { ...testTls, ca: testTls.cert, clients: [{ role: 'viewer', cn: 'localhost' }] },
  })
})
afterAll(async () => {
  await server.stop()
  await rm(directory, { recursive: true })
})

const file = (name: string): string => join(directory, name)

test('commands: an admin port that speaks HTTPS, a certificate in place of a token', async () => {
  const admin = server.url
  const own = { admin, adminCa: file('cert'), adminCert: file('cert'), adminKey: file('key') }
  expect(await ask(own, '/api/status')).toMatchObject({ role: 'agent', pid: 7 })
  await expect(ask({ admin, adminCa: file('cert') }, '/api/status')).rejects.toThrow('no token')
  await expect(ask({ admin }, '/api/status')).rejects.toThrow(
    `no answer from ${admin}: self-signed certificate`,
  )
  await expect(ask({ ...own, adminCa: file('none') }, '/api/status')).rejects.toMatchObject({
    message: expect.stringContaining(`cannot read ${file('none')}`),
    hint: 'See --admin-ca.',
  })
})
