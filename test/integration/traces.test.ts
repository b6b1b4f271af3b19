import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { connectTo, query } from '../helpers/postgres.ts'
import { type ReceivedSpan, TraceReceiver } from '../helpers/trace-receiver.ts'

const receiver = new TraceReceiver()

beforeAll(async () => {
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', await receiver.start())
  vi.stubEnv('OTEL_EXPORTER_OTLP_PROTOCOL', 'http/json')
  vi.stubEnv('OTEL_SERVICE_NAME', 'shop-db')
  vi.stubEnv('OTEL_BSP_SCHEDULE_DELAY', '50')
})
const test = useTestCluster()
beforeAll(async () => {
  const ddl = "CREATE TABLE account (id int PRIMARY KEY, balance int) WITH (shard_key = 'id')"
  await query(test.current.weftUrl, ddl)
  await query(test.current.weftUrl, 'INSERT INTO account SELECT i, 100 FROM generate_series(1, 60) i')
})
afterAll(async () => {
  vi.unstubAllEnvs()
  await receiver.stop()
})

/** The client's own span, as sqlcommenter tells it. */
function clientSpan(): { readonly traceId: string; readonly spanId: string; readonly comment: string } {
  const [traceId, spanId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')]
  return { traceId, spanId, comment: `/*app='shop',traceparent='00-${traceId}-${spanId}-01'*/` }
}

/** What came of a trace, once its statements number so many. */
async function received(traceId: string, statements: number): Promise<readonly ReceivedSpan[]> {
  const ofServer = () => receiver.trace(traceId).filter(({ kind }) => kind === 2)
  await expect.poll(() => ofServer().length).toBe(statements)
  return receiver.trace(traceId)
}

const within = (spans: readonly ReceivedSpan[], { spanId }: ReceivedSpan) =>
  spans.filter(({ parentSpanId }) => parentSpanId === spanId)
const names = (spans: readonly ReceivedSpan[]) => spans.map(({ name }) => name).sort()

it('a statement of one shard: a span of the client’s trace, planned at first, its shard below it', async () => {
  const session = await connectTo(test.current.weftUrl)
  for (const [id, parts] of [
    [7, ['parse', 'plan', 'shard']],
    [8, ['shard']],
  ] as const) {
    const { traceId, spanId, comment } = clientSpan()
    await session.query(`SELECT balance FROM account WHERE id = ${id} ${comment}`)
    const spans = await received(traceId, 1)
    const [statement] = spans.filter(({ kind }) => kind === 2)
    expect(statement).toMatchObject({
      name: 'SELECT',
      parentSpanId: spanId,
      attributes: {
        'db.system.name': 'postgresql',
        'db.operation.name': 'SELECT',
        'db.query.text': 'SELECT balance FROM account WHERE id = $1',
        'weft.route': 'one',
        'weft.shards': 1,
        'db.response.returned_rows': 1,
      },
    })
    const below = within(spans, statement!)
    expect(names(below).map((name) => name.replace(/ \d/, ''))).toEqual(parts)
    expect(spans).toHaveLength(1 + parts.length)
  }
  await session.end()
  expect(receiver.resource).toMatchObject({ 'service.name': 'shop-db' })
})

it('a statement with parameters, over all shards: its cut and each shard', async () => {
  const session = await connectTo(test.current.weftUrl)
  const { traceId, spanId, comment } = clientSpan()
  await session.query(`SELECT count(*) FROM account WHERE balance > $1 ${comment}`, [5])
  const spans = await received(traceId, 1)
  const [statement] = spans.filter(({ kind }) => kind === 2)
  expect(statement).toMatchObject({ name: 'SELECT', parentSpanId: spanId })
  expect(statement!.attributes).toMatchObject({ 'weft.route': 'all', 'weft.shards': 3 })
  const below = names(within(spans, statement!))
  expect(below).toEqual(expect.arrayContaining(['cut', 'plan', 'shard 0', 'shard 1', 'shard 2']))
  for (const span of within(spans, statement!)) {
    expect(BigInt(span.startTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(statement!.startTimeUnixNano))
    expect(BigInt(span.endTimeUnixNano)).toBeLessThanOrEqual(BigInt(statement!.endTimeUnixNano))
  }
  await session.end()
})

it('a transaction over two shards: COMMIT belongs to its trace, with the phases of the commit', async () => {
  const session = await connectTo(test.current.weftUrl)
  const { traceId, spanId, comment } = clientSpan()
  await session.query('BEGIN')
  for (const id of [1, 2, 3, 4, 5, 6])
    await session.query(`UPDATE account SET balance = 1 WHERE id = ${id} ${comment}`)
  await session.query('COMMIT')
  const spans = await received(traceId, 7)
  const commit = spans.find(({ name }) => name === 'COMMIT')!
  expect(commit.parentSpanId).toBe(spanId)
  expect(commit.attributes['weft.transaction']).toMatch(/^[\w-]+$/)
  const below = within(spans, commit)
  expect(names(below)).toEqual(expect.arrayContaining(['committing', 'deciding', 'preparing']))
  // What follows has nothing to do with it.
  await session.query('SELECT 1')
  await session.query('BEGIN')
  await session.query('COMMIT')
  const outside = () => receiver.spans.filter((span) => span.traceId !== traceId && span.name === 'COMMIT')
  await expect.poll(() => outside().length).toBeGreaterThan(0)
  expect(receiver.trace(traceId)).toHaveLength(spans.length)
  await session.end()
})

it('statements that fail: their SQLSTATE, whether a shard tells it or nobody could read them', async () => {
  const session = await connectTo(test.current.weftUrl)
  for (const [sql, code] of [
    ['SELECT balance / 0 FROM account WHERE id = 1', '22012'],
    ['SELEC 1', '42601'],
    ['SELECT count(1 / (balance - 100)) FROM account', '22012'],
  ] as const) {
    const { traceId, comment } = clientSpan()
    await session.query(`${sql} ${comment}`).catch(() => {})
    const spans = await received(traceId, 1)
    const [statement] = spans.filter(({ kind }) => kind === 2)
    expect(statement!.attributes['db.response.status_code']).toBe(code)
    expect(statement!.status).toMatchObject({ code: 2, message: code })
  }
  await session.end()
})

it('a client that does not sample: nothing is sent of its trace', async () => {
  const { traceId, comment } = clientSpan()
  await query(
    test.current.weftUrl,
    `SELECT balance FROM account WHERE id = 3 ${comment.replace('-01', '-00')}`,
  )
  const seen = clientSpan()
  await query(test.current.weftUrl, `SELECT balance FROM account WHERE id = 3 ${seen.comment}`)
  await received(seen.traceId, 1)
  expect(receiver.trace(traceId)).toEqual([])
})
