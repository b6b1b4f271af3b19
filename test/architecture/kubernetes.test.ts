import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { agentCommand } from '../../cli/agent.ts'
import { coordinatorCommand } from '../../cli/coordinator.ts'
import { loadConfig } from '../../cluster/config.ts'
import { type Container, faultsOf, type KubernetesObject, objectsIn } from '../helpers/kubernetes-objects.ts'

const directory = 'deploy/kubernetes'
const kustomization = parse(readFileSync(`${directory}/kustomization.yaml`, 'utf8')) as {
  readonly resources: string[]
  readonly images: readonly { readonly name: string }[]
  readonly configMapGenerator: readonly { readonly name: string; readonly files: string[] }[]
  readonly secretGenerator: readonly { readonly name: string; readonly files: string[] }[]
}
const objects = objectsIn(directory, kustomization.resources)
const config = loadConfig(`${directory}/weft.yaml`, {
  WEFT_POSTGRES_PASSWORD: 'secret',
  WEFT_ADMIN_TOKEN: '0123456789abcdef',
})

const named = (kind: string, name: string): KubernetesObject => {
  const found = objects.find((one) => one.kind === kind && one.metadata.name === name)
  if (found === undefined) throw new Error(`there is no ${kind} ${name}`)
  return found
}
const workloads = objects.filter(({ kind }) => kind === 'StatefulSet' || kind === 'Deployment')
const containersOf = ({ spec }: KubernetesObject): readonly Container[] => spec.template.spec.containers
const container = (workload: KubernetesObject, name: string): Container =>
  containersOf(workload).find((one) => one.name === name)!
const portOf = ({ ports }: Container, name: string) => ports.find((one) => one.name === name)?.containerPort

const shards = named('StatefulSet', 'weft-shard')
const coordinators = named('Deployment', 'weft-coordinator')
const agent = container(shards, 'agent')
const coordinator = container(coordinators, 'coordinator')

test.each(objects.map((one) => [`${one.kind} ${one.metadata.name}`, one] as const))(
  'kubernetes: %s: as the API has it, and no field that it does not know',
  (_, object) => {
    expect(faultsOf(object)).toEqual([])
  },
)

test('kubernetes: the check of the manifests finds what is misspelt, missing or of the wrong type', () => {
  const changed = (change: (object: KubernetesObject) => void): string => {
    const object = structuredClone(coordinators)
    change(object)
    return faultsOf(object).join()
  }
  const pod = ({ spec }: KubernetesObject) => spec.template.spec
  expect(changed((one) => Object.assign(pod(one).containers[0]!, { imagePulPolicy: 'Always' }))).toBe(
    'spec.template.spec.containers.0.imagePulPolicy: there is no such field',
  )
  expect(changed(({ spec }) => Object.assign(spec, { selector: undefined }))).toContain('selector')
  expect(changed((one) => Object.assign(pod(one), { terminationGracePeriodSeconds: 'x' }))).toContain(
    'terminationGracePeriodSeconds',
  )
})

test('kubernetes: the kustomization names every manifest, and generates what pods mount', () => {
  const files = readdirSync(directory).filter((name) => name.endsWith('.yaml'))
  const known = [...kustomization.resources, 'kustomization.yaml', 'weft.yaml']
  expect(files.sort()).toEqual(known.sort())
  for (const { files } of kustomization.configMapGenerator)
    for (const file of files) expect(existsSync(`${directory}/${file}`)).toBe(true)
  const generated = [...kustomization.configMapGenerator, ...kustomization.secretGenerator].map(
    ({ name }) => name,
  )
  const keys = kustomization.secretGenerator.flatMap(({ files }) => files.map((file) => file.split('=')[0]))
  for (const workload of [shards, coordinators]) {
    const { volumes = [] } = workload.spec.template.spec
    for (const { configMap, secret } of volumes)
      if (configMap ?? secret) expect(generated).toContain(configMap?.name ?? secret?.secretName)
    for (const { env } of containersOf(workload).filter(({ image }) => image === 'weft'))
      for (const { name, value = '' } of env.filter((one) => one.name.endsWith('_FILE')))
        expect(keys, name).toContain(value.replace('/run/secrets/weft/', ''))
  }
  expect(kustomization.images.map(({ name }) => name)).toContain('weft')
})

test('kubernetes: a pod for each shard and member of the log, under the names of the configuration', () => {
  expect(shards.spec.replicas).toBe(config.shards.length)
  for (const { id, agent: address, postgres } of config.shards) {
    const host = `${shards.metadata.name}-${id}.${shards.spec.serviceName}`
    expect([address.host, new URL(postgres).host]).toEqual([host, `${host}:5432`])
  }
  const etcd = named('StatefulSet', 'weft-etcd')
  if (config.log.kind !== 'etcd') throw new Error('the log is not etcd')
  const names = Array.from(
    { length: etcd.spec.replicas },
    (_, i) => `weft-etcd-${i}.${etcd.spec.serviceName}`,
  )
  expect(config.log.endpoints).toEqual(names.map((name) => `http://${name}:2379`))
  const [cluster] = containersOf(etcd)[0]!.command!.filter((word) => word.startsWith('--initial-cluster='))
  for (const name of names) expect(cluster).toContain(`${name.split('.')[0]}=http://${name}:2380`)
})

test('kubernetes: commands: the command line knows them and their flags', () => {
  const words = [coordinator.args!, agent.command!.at(-1)!.split(/weft\.js |\s+/)]
  const known = [coordinatorCommand(), agentCommand()]
  for (const [i, command] of known.entries()) {
    expect(words[i]).toContain(command.name())
    const flags = words[i]!.filter((word) => word.startsWith('--'))
    expect(command.options.map(({ long }) => long)).toEqual(expect.arrayContaining(flags))
    expect(words[i]!.join(' ')).toContain('--config /etc/weft/weft.yaml')
  }
})

test('kubernetes: ports are those of the configuration, of services and of probes', () => {
  expect(portOf(coordinator, 'postgres')).toBe(config.coordinator.listen.port)
  expect(portOf(coordinator, 'admin')).toBe(config.coordinator.adminListen.port)
  expect(portOf(agent, 'admin')).toBe(config.agent.adminListen.port)
  for (const shard of config.shards) expect(portOf(agent, 'agent')).toBe(shard.agent.port)
  for (const one of [agent, coordinator]) {
    expect(one.livenessProbe.httpGet).toEqual({ path: '/healthz', port: 'admin' })
    expect(one.readinessProbe.httpGet).toEqual({ path: '/readyz', port: 'admin' })
  }
  for (const { spec } of objects.filter(({ kind }) => kind === 'Service')) {
    const label = spec.selector['app.kubernetes.io/name']
    const [workload] = workloads.filter(
      ({ spec: own }) => own.selector.matchLabels['app.kubernetes.io/name'] === label,
    )
    const ports = containersOf(workload!).flatMap((one) => one.ports.map(({ name }) => name))
    for (const { targetPort } of spec.ports) expect(ports).toContain(targetPort)
  }
})

test('kubernetes: pods run as nobody in particular, within limits, and may be moved one at a time', () => {
  for (const workload of workloads) {
    const labels = workload.spec.template.metadata.labels
    expect(labels).toMatchObject(workload.spec.selector.matchLabels)
    expect(workload.spec.template.spec.securityContext).toMatchObject({ runAsNonRoot: true })
    for (const { securityContext, resources, name, volumeMounts } of containersOf(workload)) {
      expect(securityContext, name).toMatchObject({
        ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
      })
      expect([resources.requests, resources.limits], name).toEqual([expect.anything(), expect.anything()])
      const { volumes = [] } = workload.spec.template.spec
      const own = [...volumes, ...(workload.spec.volumeClaimTemplates ?? []).map((one) => one.metadata)]
      for (const mount of volumeMounts) expect(own.map((one) => one.name)).toContain(mount.name)
    }
    const budgets = objects.filter(({ kind }) => kind === 'PodDisruptionBudget')
    expect(budgets.map(({ spec }) => spec.selector)).toContainEqual(workload.spec.selector)
  }
})

test('kubernetes: the autoscaler scales coordinators as far as the pools of shards go', () => {
  const { scaleTargetRef, maxReplicas } = named('HorizontalPodAutoscaler', 'weft-coordinator').spec
  expect(scaleTargetRef).toEqual({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    name: coordinators.metadata.name,
  })
  expect(coordinators.spec.replicas).toBeUndefined()
  expect(config.pool.size).toBeGreaterThanOrEqual(10 * maxReplicas)
  const settings = container(shards, 'postgres').args!.join(' ')
  const setting = (name: string) => Number(new RegExp(`${name}=(\\d+)`).exec(settings)?.[1])
  expect(setting('max_connections')).toBeGreaterThanOrEqual(config.pool.size + 8)
  expect(setting('max_prepared_transactions')).toBeGreaterThanOrEqual(2 * config.pool.size)
})
