/** CPU of splitting COPY data by key: `node --experimental-strip-types bench/micro/copy.ts`, or through esbuild. */
import { evenSlots, slotTable } from '../../cluster/slots.ts'
import { CopyInExecutor } from '../../coordinator/execute/copy/copy-in.ts'
import type { ShardRunner } from '../../coordinator/execute/shards/shard-runner.ts'
import type { Catalog, Relation } from '../../sql/catalog.ts'
import type { CopyPlan } from '../../sql/plan/copy-plan.ts'

const ROWS = 1_000_000
const CHUNK_BYTES = 64 * 1024
const SHARDS = 3

const table: Relation = {
  oid: 1,
  schema: 'public',
  name: 'accounts',
  kind: 'sharded',
  columns: [],
  key: { column: 'aid', index: 0, type: 'int4' },
  colocation: 1,
}

const catalog: Catalog = {
  version: 1,
  shardCount: SHARDS,
  slots: slotTable(evenSlots(SHARDS)),
  resolve: () => table,
  distributed: [table],
  isUserFunction: () => false,
}

/** Shards that take everything at once and throw it away. */
const nowhere: ShardRunner = {
  shardCount: SHARDS,
  query: async () => ({ rows: [['UTF8', '180000', 'UTC']], columns: [], tag: 'SELECT 1' }),
  copyIn: async () => ({
    write: () => {},
    end: async () => ({ rows: 0, notices: [] }),
    fail: async () => {},
    notices: () => [],
  }),
  copyOut: async () => ({ rows: [], columns: [], tag: 'COPY 0' }),
}

const plan = (format: 'text' | 'csv'): CopyPlan => ({
  kind: 'copy',
  tag: 'COPY',
  access: 'write',
  effects: { pins: false, mayUnpin: false, taintsBackend: false, leaves: 0, sequences: 0 },
  returnsRows: false,
  paramCount: 0,
  generic: false,
  paramsToDescribe: [],
  outsideTransaction: false,
  direction: 'in',
  table,
  columns: ['aid', 'bid', 'abalance', 'filler'],
  format,
  delimiter: format === 'csv' ? ',' : '\t',
  nullText: format === 'csv' ? '' : '\\N',
  quote: '"',
  escape: '"',
  header: 'none',
  forceNull: [],
  forceNotNull: [],
  keyIndex: 0,
  fill: [],
  optionsSql: '',
})

/** As pgbench fills pgbench_accounts: about 100 bytes a row. */
function data(row: (i: number) => string): Buffer[] {
  const whole = Buffer.from(Array.from({ length: ROWS }, (_, i) => row(i + 1)).join(''))
  const chunks: Buffer[] = []
  for (let at = 0; at < whole.length; at += CHUNK_BYTES) chunks.push(whole.subarray(at, at + CHUNK_BYTES))
  return chunks
}

async function run(name: string, format: 'text' | 'csv', chunks: readonly Buffer[]): Promise<void> {
  const times: number[] = []
  for (let round = 0; round < 5; round++) {
    const before = process.cpuUsage()
    const executor = new CopyInExecutor(plan(format), catalog, nowhere)
    for (const chunk of chunks) await executor.write(chunk)
    await executor.finish()
    const { user, system } = process.cpuUsage(before)
    times.push((user + system) / 1000)
  }
  const bytes = chunks.reduce((sum, c) => sum + c.length, 0)
  const [median] = times.sort((a, b) => a - b).slice(2)
  console.log(`${name}: ${ROWS} rows, ${(bytes / 1e6).toFixed(0)} MB: median ${median!.toFixed(0)} ms of CPU`)
}

const filler = ''.padEnd(84)
await run(
  'text',
  'text',
  data((i) => `${i}\t1\t0\t${filler}\n`),
)
await run(
  'text, NULLs',
  'text',
  data((i) => `${i}\t1\t\\N\t${filler}\n`),
)
await run('text, one row a message', 'text', data((i) => `${i}\t1\t0\t${filler}\n`).flatMap(lines))
await run(
  'csv',
  'csv',
  data((i) => `${i},1,0,${filler}\n`),
)
await run(
  'csv, quoted',
  'csv',
  data((i) => `${i},1,0,"${filler}"\n`),
)

function lines(chunk: Buffer): Buffer[] {
  const all: Buffer[] = []
  let start = 0
  for (let end = chunk.indexOf(10) + 1; end > 0; end = chunk.indexOf(10, start) + 1) {
    all.push(chunk.subarray(start, end))
    start = end
  }
  if (start < chunk.length) all.push(chunk.subarray(start))
  return all
}
