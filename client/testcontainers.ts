import { randomBytes } from 'node:crypto'
import type { SettledTestCluster, StartedCluster } from './test-cluster/settled.ts'

const PORT = 6432

/** What is used of the package `testcontainers`, a peer that only those need who have a Docker engine. */
export interface Containers {
  readonly GenericContainer: new (image: string) => ContainerPlan
  readonly Wait: { forLogMessage(message: RegExp): unknown }
  getContainerRuntimeClient(): Promise<unknown>
}

export interface ContainerPlan {
  withCommand(words: string[]): this
  withEnvironment(environment: Record<string, string>): this
  withExposedPorts(...ports: number[]): this
  withWaitStrategy(strategy: unknown): this
  withStartupTimeout(ms: number): this
  start(): Promise<RunningContainer>
}

export interface RunningContainer {
  getHost(): string
  getMappedPort(port: number): number
  stop(): Promise<unknown>
}

/** Whether `testcontainers` is installed and has an engine to talk to. */
export async function dockerAnswers(load: () => Promise<Containers> = loadContainers): Promise<boolean> {
  try {
    await (await load()).getContainerRuntimeClient()
    return true
  } catch {
    return false
  }
}

/** `weft dev` in a container. Who reaches its port needs the password in the URL. */
export async function startInDocker(
  { image, shards, startTimeoutMs }: SettledTestCluster,
  load: () => Promise<Containers> = loadContainers,
): Promise<StartedCluster> {
  const { GenericContainer, Wait } = await load()
  const password = randomBytes(12).toString('hex')
  const where = ['--host', '0.0.0.0', '--port', String(PORT), '--data-dir', '/tmp/weft']
  const container = await new GenericContainer(image)
    .withCommand(['dev', '--json', '--log-level', 'warn', '--shards', String(shards), ...where])
    .withEnvironment({ WEFT_DEV_PASSWORD: password })
    .withExposedPorts(PORT)
    .withWaitStrategy(Wait.forLogMessage(/"event":"up"/))
    .withStartupTimeout(startTimeoutMs)
    .start()
  const address = `${container.getHost()}:${container.getMappedPort(PORT)}`
  return {
    url: `postgres://postgres:${password}@${address}/postgres`,
    stop: async () => void (await container.stop()),
  }
}

async function loadContainers(): Promise<Containers> {
  return (await import('testcontainers')) as unknown as Containers
}
