import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { SetupError } from '../errors/setup-error.ts'
import { loadConfig, parseConfig } from './config.ts'

const oneShard = 'shards:\n  - { id: 0, postgres: "postgres://weft@db:5432/app", agent: "db:6500" }\n'

function refusal(text: string): string {
  try {
    parseConfig(text, 'weft.yaml', {})
  } catch (error) {
    expect(error).toBeInstanceOf(SetupError)
    return (error as SetupError).message
  }
  throw new Error('accepted')
}

test('config: one shard and nothing else: the defaults', () => {
  expect(parseConfig(oneShard, 'weft.yaml', {})).toEqual({
    cluster: 'weft',
    database: 'postgres',
    shards: [{ id: 0, postgres: 'postgres://weft@db:5432/app', agent: { host: 'db', port: 6500 } }],
    log: { kind: 'postgres' },
    coordinator: {
      listen: { host: '127.0.0.1', port: 6432 },
      adminListen: { host: '127.0.0.1', port: 6480 },
      auth: [{ from: ['all'], method: 'scram-sha-256' }],
      sessionsMax: 1000,
      memory: {},
    },
    agent: { listenHost: '127.0.0.1', adminListen: { host: '127.0.0.1', port: 6481 } },
    pool: { size: 20, waitTimeoutMs: 10_000 },
    maxClockOffsetMs: 500,
    outcomesKeptHours: 24,
    admin: { tokens: [], requestsPerMinute: 1200 },
    inDoubtAfterMs: 1000,
  })
})

test('config: the example file: accepted, variables put in', () => {
  const config = loadConfig('docs/weft.example.yaml', { WEFT_POSTGRES_PASSWORD: 'p' })
  expect(config.shards.map((shard) => new URL(shard.postgres).password)).toEqual(['p', 'p', 'p'])
  expect(config.log).toMatchObject({ kind: 'etcd' })
  expect(config.coordinator.auth).toHaveLength(3)
})

test('config: a variable may be a file, as containers are given secrets', () => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-config-'))
  const file = join(dir, 'secret')
  writeFileSync(file, 'p:w\n')
  const text = `${oneShard}database: "\${NAME}"\n`
  expect(parseConfig(text, 'weft.yaml', { NAME_FILE: file }).database).toBe('p:w')
  expect(parseConfig(text, 'weft.yaml', { NAME_FILE: file, NAME: 'first' }).database).toBe('first')
  rmSync(dir, { recursive: true })
  expect(() => parseConfig(text, 'weft.yaml', { NAME_FILE: file })).toThrow(
    `cannot read ${file}, which NAME_FILE names`,
  )
})

test('config: IPv6 addresses: without their brackets', () => {
  const config = parseConfig(oneShard.replace('db:6500', '[::1]:6500'), 'weft.yaml', {})
  expect(config.shards[0]?.agent).toEqual({ host: '::1', port: 6500 })
})

test.each([
  [
    'a variable that is not set',
    `cluster: weft\ndatabase: \${NOPE}\n`,
    'weft.yaml:2: the environment variable NOPE is not set',
  ],
  ['a misspelt setting', `${oneShard}pool:\n  sise: 3\n`, 'weft.yaml:4: pool.sise: there is no such setting'],
  ['no shards', 'cluster: weft\n', 'shards: invalid input: expected array'],
  ['an empty file', '', 'shards: invalid input'],
  [
    'a bad URL',
    oneShard.replace('postgres://', 'mysql://'),
    'weft.yaml:2: shards[0].postgres: write it as postgres://',
  ],
  [
    'a bad address',
    `${oneShard}coordinator: { listen: "6432" }\n`,
    'coordinator.listen: write it as host:port',
  ],
  ['a port too high', oneShard.replace('6500', '65536'), 'shards[0].agent: write it as host:port'],
  [
    'ids with a gap',
    oneShard.replace('id: 0', 'id: 1'),
    'shards[0].id: shards are numbered from 0 in order: write 0',
  ],
  [
    'a bad network',
    `${oneShard}coordinator: { auth: [{ from: 10.0.0.0/33, method: trust }] }\n`,
    'auth[0].from[0]: write a',
  ],
  ['an unknown log', `${oneShard}log: { kind: paper }\n`, 'kind is either postgres or etcd'],
  [
    'certificates of clients without who signs them',
    `${oneShard}admin: { tls: { cert: a, key: b, clients: [{ cn: ann, role: admin }] } }\n`,
    'admin.tls: clientCa and clients go together',
  ],
  [
    'a certificate of which nothing is said',
    `${oneShard}admin: { tls: { cert: a, key: b, clientCa: c, clients: [{ role: admin }] } }\n`,
    'admin.tls.clients[0]: say cn, ou or san',
  ],
  ['not YAML', 'shards: [\n', 'weft.yaml:2: not YAML'],
  [
    'a text for a number',
    `${oneShard}inDoubtAfterMs: soon\n`,
    'weft.yaml:3: inDoubtAfterMs: invalid input: expected number',
  ],
])('config: %s: refused, with file, line and setting', (_, text, message) => {
  expect(refusal(text)).toContain(message)
})

test('config: two shards in one database, or behind one agent address: refused', () => {
  const second = (url: string, agent: string) =>
    `${oneShard}  - { id: 1, postgres: "${url}", agent: "${agent}" }\n`
  expect(refusal(second('postgres://other@db/app', 'db:6501'))).toContain(
    'another shard is the same database',
  )
  expect(refusal(second('postgres://weft@db2/app', 'db:6500'))).toContain(
    'another shard has the same agent address',
  )
})

test('config: no file, and a certificate that is not there: refused before anything starts', () => {
  expect(() => loadConfig('nowhere/weft.yaml')).toThrow(
    'cannot read the configuration nowhere/weft.yaml: there is no',
  )
  const dir = mkdtempSync(join(tmpdir(), 'weft-config-'))
  const file = join(dir, 'weft.yaml')
  writeFileSync(file, `${oneShard}coordinator:\n  tls: { cert: a.pem, key: a.key }\n`)
  expect(() => loadConfig(file)).toThrow(`coordinator.tls.cert: there is no file ${join(dir, 'a.pem')}`)
  writeFileSync(join(dir, 'a.pem'), '')
  writeFileSync(join(dir, 'a.key'), '')
  expect(loadConfig(file).coordinator.tls).toEqual({ cert: join(dir, 'a.pem'), key: join(dir, 'a.key') })
  rmSync(dir, { recursive: true })
})
