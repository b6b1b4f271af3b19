import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Deployment, StatefulSet } from 'kubernetes-models/apps/v1'
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2'
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1'
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1'
import { Namespace, Service } from 'kubernetes-models/v1'
import { parseAllDocuments } from 'yaml'

/** An object of a manifest, as far as the tests look at it. */
export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string }
  /** As if each kind had all of it: the schema says what has what. */
  readonly spec: {
    readonly replicas: number
    readonly maxReplicas: number
    readonly serviceName: string
    readonly scaleTargetRef: object
    readonly selector: { readonly matchLabels: Labels } & Labels
    readonly ports: readonly { readonly targetPort: string }[]
    readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[]
    readonly template: { readonly metadata: { readonly labels: Labels }; readonly spec: PodSpec }
  }
}

type Labels = Readonly<Record<string, string>>

export interface PodSpec {
  readonly securityContext: object
  readonly containers: readonly Container[]
  readonly volumes?: readonly Volume[]
}

interface Volume {
  readonly name: string
  readonly configMap?: { readonly name: string }
  readonly secret?: { readonly secretName: string }
}

export interface Container {
  readonly name: string
  readonly image: string
  readonly command?: string[]
  readonly args?: string[]
  readonly env: readonly { readonly name: string; readonly value?: string }[]
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[]
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[]
  readonly readinessProbe: Probe
  readonly livenessProbe: Probe
  readonly resources: { readonly requests: object; readonly limits: object }
  readonly securityContext: object
}

interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string }
}

/** All objects of the manifests that a kustomization names. */
export function objectsIn(directory: string, files: readonly string[]): KubernetesObject[] {
  return files.flatMap((file) =>
    parseAllDocuments(readFileSync(join(directory, file), 'utf8'), { merge: true }).map(
      (document) => document.toJS() as KubernetesObject,
    ),
  )
}

interface Validated {
  validate(): void
}

type Model = new (data: never) => Validated

const models: readonly Model[] = [
  ...[
    Deployment,
    StatefulSet,
    HorizontalPodAutoscaler,
    NetworkPolicy,
    PodDisruptionBudget,
    Namespace,
    Service,
  ],
] as unknown as Model[]

/**
 * What is wrong with an object, by the schema of Kubernetes' API. That says nothing of fields which it does not know: those
 * are the ones that its check never reads.
 */
export function faultsOf(object: KubernetesObject): string[] {
  const model = models.find((one) => {
    const { apiVersion, kind } = one as unknown as KubernetesObject
    return apiVersion === object.apiVersion && kind === object.kind
  })
  if (model === undefined) return [`${object.apiVersion} ${object.kind}: no schema`]
  const unread = new Set<string>()
  const made = new model(object as never)
  // It has made a copy, for which all was read.
  const { apiVersion: _, kind: __, ...rest } = object
  for (const [name, value] of Object.entries(rest))
    Object.assign(made, { [name]: watch(value, name, unread) })
  try {
    made.validate()
  } catch (error) {
    return [(error as Error).message]
  }
  return [...unread].map((path) => `${path}: there is no such field`)
}

/** `unread` has the paths of the fields that nobody has read. */
function watch(value: unknown, path: string, unread: Set<string>): unknown {
  if (typeof value !== 'object' || value === null) return value
  const isList = Array.isArray(value)
  const watched = new Map<PropertyKey, unknown>(
    Object.entries(value).map(([name, one]) => [name, watch(one, `${path}.${name}`, unread)]),
  )
  if (!isList) for (const name of watched.keys()) unread.add(`${path}.${String(name)}`)
  return new Proxy(value, {
    get(target, name, receiver) {
      unread.delete(`${path}.${String(name)}`)
      return watched.has(name) ? watched.get(name) : Reflect.get(target, name, receiver)
    },
  })
}
