/** The blocks of docs/client.md, run one after the other as one program. */
import { transform } from 'esbuild'
import { expect, test } from 'vitest'
import * as drizzle from '../../client/drizzle.ts'
import * as client from '../../client/index.ts'
import * as kysely from '../../client/kysely.ts'
import { pageBlocks, pageFiles, programBlocks } from './page.ts'
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
  'failed',
  'sent',
  'resumed',
  'built',
  'counted',
  'told',
]

/** When the lease is over: the outbox sends what it could not. */
const LATER = `await db.query(sql\`UPDATE sagas SET leased_until = now() WHERE name = 'placed'\`)
const resumed = await resume()
await db.close()`

async function program(server: Server): Promise<string> {
  const ours = server === 'weft' ? programBlocks : ['ts']
  const blocks = pageBlocks().filter(({ info }) => ours.includes(info))
  const imports = /^import (\{.*\}) from ('.*')$/gm
  const { host } = new URL(cluster.url(server))
  const source = blocks
    .map(({ text }) => text)
    .join('\n')
    .replace('await db.close()', LATER)
    .replace(imports, 'const $1 = modules[$2]')
    .replaceAll(/node-[ab]:6432/g, host)
  // In a function: the blocks await, and esbuild would drop names of a module that nobody uses.
  const whole = `export async function run(modules: any) {\n${source}\nreturn { ${SHOWN.join(', ')} }\n}`
  const { code } = await transform(whole, { loader: 'ts', format: 'esm', target: 'node20' })
  return code
}

test.each(servers)('docs: the examples run on %s', async (server) => {
  await cluster.create(server, 'CREATE TABLE orders (id int PRIMARY KEY, customer int, note text)', 'id')
  const [sagas] = pageBlocks().filter(({ info }) => info === 'sql')
  await cluster.create(server, sagas!.text.trim().replace(/;$/, ''), 'id')
  const code = await program(server)
  const { run } = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as {
    run(modules: object): Promise<Record<string, unknown>>
  }
  const shown = await run({
    'weft/client': client,
    'weft/client/drizzle': drizzle,
    'weft/client/kysely': kysely,
    kysely: await import('kysely'),
    'drizzle-orm': await import('drizzle-orm'),
    'drizzle-orm/pg-core': await import('drizzle-orm/pg-core'),
    'drizzle-orm/pg-proxy': await import('drizzle-orm/pg-proxy'),
  })
  expect(shown.error).toBeInstanceOf(client.Canceled)
  expect(shown.failed).toEqual(new Error('the mail service is away'))
  expect({ ...shown, error: undefined, failed: undefined }).toEqual({
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
    built: { id: 1, note: 'sent' },
    counted: { n: 8n, text: '7' },
    told: [
      'orders has it already',
      '22012: division by zero',
      'not one row',
      '22012: division by zero',
      'leave it',
    ],
    sent: new Map([['order-13/mail', 'order 13 is placed']]),
    resumed: new Map([['order-13', 'done']]),
    error: undefined,
    failed: undefined,
  })
})

test('docs: no block is neither run nor a file that bundle.test.ts runs', () => {
  const files = [...pageFiles().keys()].map((name) => `ts ${name}`)
  const known = [...programBlocks, ...files, 'sql']
  expect(pageBlocks().filter(({ info }) => !known.includes(info))).toEqual([])
})
