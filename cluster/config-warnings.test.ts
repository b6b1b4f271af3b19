import { expect, test } from 'vitest'
import { parseConfig } from './config.ts'
import { configWarnings } from './config-warnings.ts'

const shards = 'shards: [{ id: 0, postgres: "postgres://postgres@db/postgres", agent: "127.0.0.1:6500" }]'
const warn = (...lines: string[]): string =>
  configWarnings(parseConfig([shards, ...lines].join('\n'), 'f')).join('\n')

test('config check: what stays on this machine is no danger', () => {
  expect(warn()).toBe('')
  expect(warn('coordinator: { auth: [{ from: 127.0.0.0/8, method: trust }] }')).toBe('')
})

test.each([
  ['agent: { listenHost: 0.0.0.0 }', 'muxTls'],
  ['coordinator: { adminListen: "0.0.0.0:6480" }', 'admin.tokens'],
  ['coordinator: { auth: [{ method: trust }] }', 'trusts'],
  ['coordinator: { listen: "0.0.0.0:6432" }', 'coordinator.tls'],
  ['log: { kind: etcd, endpoints: [ "http://a:2379" ] }', '1 etcd endpoints'],
])('config check: %s is warned of', (line, words) => {
  expect(warn(line)).toContain(words)
  expect(warn(line).split('\n')).toHaveLength(1)
})

test('config check: with tokens the admin port may be reached', () => {
  const token = 'admin: { tokens: [{ name: ann, role: admin, token: 0123456789abcdef }] }'
  const reached = 'coordinator: { adminListen: "0.0.0.0:6480" }'
  expect(warn(reached, token)).toBe(
    'admin tokens travel in the clear: set admin.tls, or keep adminListen on a closed network',
  )
  const tls = 'cert: a, key: b, clientCa: c, clients: [{ cn: ann, role: admin }]'
  expect(warn(reached, `admin: { tls: { ${tls} } }`)).toBe('')
})
