import { startProcess } from './test-cluster/process.ts'
import { freshSchema, type TestSchema } from './test-cluster/schema.ts'
import { dockerAnswers, startInDocker } from './testcontainers.ts'

export { freshSchema, type TestSchema } from './test-cluster/schema.ts'

/** How a cluster for tests is started. Times are in milliseconds. */
export interface TestClusterOptions {
  /**
   * `process`: `weft dev` of this package, on its embedded Postgres. `docker`: a container of `image`, by `testcontainers`.
   * Default: `docker` where that package is installed and a Docker engine answers it, else `process`.
   */
  readonly with?: 'process' | 'docker'
  /** Shards. Default 2. */
  readonly shards?: number
  /** For all of it to serve. Default 120,000. */
  readonly startTimeoutMs?: number
  /** What `docker build -t weft .` in Weft's repository has made. Default `weft`. */
  readonly image?: string
}

/** A cluster that is there for tests only. It ends with this process at the latest. */
export interface TestCluster {
  /** `postgres://…` of a superuser, for `weft`, node-postgres or any other client. */
  readonly url: string
  readonly with: 'process' | 'docker'
  /** A schema that nothing is in, see `freshSchema`. */
  schema(): Promise<TestSchema>
  /** Ends it and removes its data. */
  stop(): Promise<void>
}

/**
 * Starts a Weft cluster for tests, in some seconds, and is done when it serves.
 *
 * @throws Error when it does not serve in time, or cannot: with what it said.
 * @example
 * const cluster = await startTestCluster()
 * const { url, drop } = await cluster.schema()
 * const db = weft(url)
 */
export async function startTestCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  const settled = {
    shards: options.shards ?? 2,
    startTimeoutMs: options.startTimeoutMs ?? 120_000,
    image: options.image ?? 'weft',
  }
  const kind = options.with ?? ((await dockerAnswers()) ? 'docker' : 'process')
  const { url, stop } = await (kind === 'docker' ? startInDocker(settled) : startProcess(settled))
  return { url, with: kind, schema: () => freshSchema(url), stop }
}
