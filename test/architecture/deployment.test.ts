import { readFileSync } from 'node:fs'
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
}

const compose = parse(readFileSync('docker-compose.yml', 'utf8'), { merge: true }) as {
  services: Record<string, Service>
  volumes: Record<string, null>
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
    for (const port of ports) expect(listening, name).toContain(`0.0.0.0:${port.split(':')[2]}`)
    for (const volume of volumes.filter((v) => !v.startsWith('.'))) {
      expect(Object.keys(compose.volumes)).toContain(volume.split(':')[0])
    }
    const needed = Array.isArray(depends_on) ? depends_on : Object.keys(depends_on)
    expect(Object.keys(compose.services)).toEqual(expect.arrayContaining(needed))
  }
})
