import { expect, test } from 'vitest'
import { settingsOf, withoutSecrets } from './settings.ts'

test('withoutSecrets: no tokens, and no passwords in fields or URLs; the rest as it is', () => {
  const config = {
    cluster: 'weft',
    shards: [
      { id: 0, postgres: 'postgres://app:pass%20word@db:5432/shop', agent: { host: 'a', port: 1 } },
      { id: 1, postgres: 'postgres://db/shop?user=app&password=pass&sslpassword=pass' },
      { id: 2, postgres: 'postgres://app@db:5432/shop' },
      { id: 3, postgres: 'postgres://app:pass@db:what/shop' },
    ],
    log: { kind: 'etcd', endpoints: ['http://etcd:2379'], username: 'weft', password: 'pass' },
    admin: { tokens: [{ name: 'ann', role: 'admin', token: 'pass-pass-pass-pass' }] },
    limit: 5,
    none: null,
  }
  const told = withoutSecrets(config)
  expect(JSON.stringify(told)).not.toContain('pass-pass')
  expect(JSON.stringify(told)).not.toMatch(/pass%20word|=pass|:pass/)
  expect(told).toMatchObject({
    cluster: 'weft',
    shards: [
      { postgres: 'postgres://app:hidden@db:5432/shop', agent: { host: 'a', port: 1 } },
      { postgres: 'postgres://db/shop?user=app&password=hidden&sslpassword=hidden' },
      { postgres: 'postgres://app@db:5432/shop' },
      { postgres: '(hidden)' },
    ],
    log: { endpoints: ['http://etcd:2379'], username: 'weft', password: '(hidden)' },
    admin: { tokens: [{ name: 'ann', role: 'admin', token: '(hidden)' }] },
    ...{ limit: 5, none: null },
  })
})

test('settingsOf: a server that does not answer is said to', async () => {
  const cluster = {
    shardCount: 2,
    onShard: async (shard: number) => {
      if (shard === 1) throw new Error('no answer')
      return [['fsync', 'on']]
    },
  }
  expect(await settingsOf({}, cluster as never)).toEqual({
    node: {},
    servers: [
      { shard: 0, settings: { fsync: 'on' } },
      { shard: 1, error: 'no answer', settings: {} },
    ],
  })
})
