/** The blocks of docs/client.md, run one after the other as one program. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { transform } from 'esbuild'
import { expect, test } from 'vitest'
import * as drizzle from '../../client/drizzle.ts'
import * as client from '../../client/index.ts'
import { root } from '../architecture/sources.ts'
import { type Server, servers, useServers } from './servers.ts'

const cluster = useServers()

/** What the blocks give, by name. */
const SHOWN = [
  'n',
  'orders',
  'nobody',
  'count',
  'found',
  'report',
  'paid',
  'last',
  'copied',
  'csv',
  'error',
  'outcome',
  'known',
]

const documentText = (): string => readFileSync(join(root, 'docs/client.md'), 'utf8')

async function program(server: Server): Promise<string> {
  const blocks = [...documentText().matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, block]) => block!)
  const imports = /^import (\{.*\}) from ('.*')$/gm
  const { host } = new URL(cluster.url(server))
  const source = blocks
    .join('\n')
    .replace(imports, 'const $1 = modules[$2]')
    .replaceAll(/node-[ab]:6432/g, host)
  // In a function: the blocks await, and esbuild would drop names of a module that nobody uses.
  const whole = `export async function run(modules: any) {\n${source}\nreturn { ${SHOWN.join(', ')} }\n}`
  const { code } = await transform(whole, { loader: 'ts', format: 'esm', target: 'node20' })
  return code
}

test.each(servers)('docs: the examples run on %s', async (server) => {
  await cluster.create(server, 'CREATE TABLE orders (id int PRIMARY KEY, customer int, note text)', 'id')
  const sagas = /^CREATE TABLE sagas [^;]*/m.exec(documentText())![0]
  await cluster.create(server, sagas, 'id')
  const code = await program(server)
  const { run } = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as {
    run(modules: object): Promise<Record<string, unknown>>
  }
  const shown = await run({
    'weft/client': client,
    'weft/client/drizzle': drizzle,
    'drizzle-orm': await import('drizzle-orm'),
    'drizzle-orm/pg-core': await import('drizzle-orm/pg-core'),
    'drizzle-orm/pg-proxy': await import('drizzle-orm/pg-proxy'),
  })
  expect(shown.error).toBeInstanceOf(client.Canceled)
  expect({ ...shown, error: undefined }).toEqual({
    n: 3,
    orders: [
      { id: 1, note: "it's new" },
      { id: 2, note: 'b' },
    ],
    nobody: undefined,
    outcome: 'done',
    count: 2,
    found: [
      { id: 1, note: 'seen' },
      { id: 2, note: 'seen' },
    ],
    report: { orders: { n: 4 }, notes: { n: 2 } },
    paid: [
      { id: 1, note: 'paid' },
      { id: 2, note: 'paid' },
    ],
    last: 3,
    copied: 2,
    csv: '10\n11\n',
    known: { id: 3, customer: 8, note: null },
    error: undefined,
  })
})
