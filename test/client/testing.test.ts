/** `weft/client/testing`: clusters for users' own tests. Containers are told apart by what they are asked for only. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { sql, weft } from '../../client/index.ts'
import {
  type ContainerPlan,
  type Containers,
  dockerAnswers,
  startInDocker,
} from '../../client/testcontainers.ts'
import { freshSchema, startTestCluster } from '../../client/testing.ts'
import { query } from '../helpers/postgres.ts'
import { processesWith } from '../helpers/weft-process.ts'

test('process: serves, gives each file a schema of its own, and leaves nothing', async () => {
  const cluster = await startTestCluster({ with: 'process', shards: 2 })
  const [one, two] = await Promise.all([cluster.schema(), cluster.schema()])
  for (const [{ url }, note] of [
    [one, 'one'],
    [two, 'two'],
  ] as const) {
    const db = weft(url)
    await db.query(sql`CREATE TABLE orders (id int PRIMARY KEY, note text) WITH (shard_key = 'id')`)
    await db.query(sql`INSERT INTO orders SELECT i, ${note} FROM generate_series(1, 20) i`)
    await db.close()
  }
  expect(await query(one.url, 'SELECT note, count(*)::int FROM orders GROUP BY note')).toEqual([
    { note: 'one', count: 20 },
  ])
  await one.drop()
  await one.drop()
  await expect(query(one.url, 'SELECT FROM orders')).rejects.toThrow('relation "orders" does not exist')
  expect(await query(two.url, 'SELECT DISTINCT note FROM orders')).toEqual([{ note: 'two' }])
  const { port } = new URL(cluster.url)
  await cluster.stop()
  await cluster.stop()
  await expect(freshSchema(cluster.url)).rejects.toThrow(`ECONNREFUSED 127.0.0.1:${port}`)
})

test('process: it ends when the program that started it is killed', async () => {
  const source = `const { startProcess } = await import('./client/test-cluster/process.ts')
    const { url } = await startProcess({ shards: 1, startTimeoutMs: 120000, image: '' })
    console.log(url)
    setInterval(() => undefined, 1000)`
  const { build } = await import('esbuild')
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: process.cwd(), loader: 'ts' },
    ...({ bundle: true, write: false, platform: 'node', format: 'esm' } as const),
    define: { 'import.meta.url': JSON.stringify(new URL('../../client/testing.ts', import.meta.url).href) },
  })
  const child = spawn(process.execPath, ['--input-type=module', '-e', outputFiles[0]!.text], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const url = line.toString().trim()
  const [row] = await query<{ dir: string }>(url, "SELECT current_setting('data_directory') AS dir")
  const { dir } = row!
  expect(processesWith(dir).length).toBeGreaterThan(0)
  child.kill('SIGKILL')
  await expect.poll(() => processesWith(dir)).toEqual([])
})

test('process: one that cannot start tells why', async () => {
  await expect(startTestCluster({ with: 'process', shards: 65 })).rejects.toThrow(
    /^weft dev ended with 1: .*It is a number from 1 to 64/,
  )
})

interface Asked {
  image?: string
  started?: boolean
  stopped?: boolean
  calls: unknown[]
}

/** What testcontainers would be asked to do. */
function recorder(asked: Asked): Containers {
  class Plan implements ContainerPlan {
    constructor(image: string) {
      asked.image = image
    }
    #note(call: unknown): this {
      asked.calls.push(call)
      return this
    }
    withCommand = (words: string[]): this => this.#note(words.join(' '))
    withEnvironment = (environment: Record<string, string>): this => this.#note(environment)
    withExposedPorts = (...ports: number[]): this => this.#note(ports)
    withWaitStrategy = (strategy: unknown): this => this.#note(strategy)
    withStartupTimeout = (ms: number): this => this.#note(ms)
    start = async () => ({
      getHost: () => 'engine',
      getMappedPort: (port: number) => port + 1,
      stop: async () => {
        asked.stopped = true
      },
    })
  }
  return {
    GenericContainer: Plan,
    Wait: { forLogMessage: (message) => message },
    getContainerRuntimeClient: async () => ({}),
  }
}

test('docker: a container of the image, with a password of its own', async () => {
  const asked: Asked = { calls: [] }
  const load = async () => recorder(asked)
  const { url, stop } = await startInDocker({ image: 'weft:1', shards: 3, startTimeoutMs: 5 }, load)
  const password = /^postgres:\/\/postgres:([0-9a-f]{24})@engine:6433\/postgres$/.exec(url)?.[1]
  expect(asked).toEqual({
    image: 'weft:1',
    calls: [
      'dev --json --log-level warn --shards 3 --host 0.0.0.0 --port 6432 --data-dir /tmp/weft',
      { WEFT_DEV_PASSWORD: password },
      [6432],
      /"event":"up"/,
      5,
    ],
  })
  await stop()
  expect(asked.stopped).toBe(true)
})

test('docker: used where the package is installed and an engine answers', async () => {
  expect(await dockerAnswers(async () => recorder({ calls: [] }))).toBe(true)
  const absent = async (): Promise<Containers> => {
    throw new Error("Cannot find package 'testcontainers'")
  }
  expect(await dockerAnswers(absent)).toBe(false)
  const silent = {
    ...recorder({ calls: [] }),
    getContainerRuntimeClient: () => Promise.reject(new Error('no engine')),
  }
  expect(await dockerAnswers(async () => silent)).toBe(false)
})
