import { expect, test } from 'vitest'
import { cpuSeconds, readResult } from './pgbench.ts'

const output = (more: { transactions?: number; failed?: number; tps?: number } = {}): string =>
  `pgbench (15.14, server 18.4)
progress: 1.0 s, 500.0 tps, lat 3.1 ms stddev 0.4, 0 failed
progress: 2.0 s, 1000.0 tps, lat 3.1 ms stddev 0.4, 0 failed
transaction type: /tmp/select.sql
number of transactions actually processed: ${more.transactions ?? 5500}
number of failed transactions: ${more.failed ?? 0} (0.000%)
latency average = 1.250 ms
initial connection time = 21.5 ms
tps = ${more.tps ?? 916.666667} (without initial connection time)
`

test('pgbench: a run with a warm-up: the warm-up is not in the rate', () => {
  const result = readResult(0, output(), 1)
  expect(result).toMatchObject({ kind: 'measured', transactions: 5500, latencyMs: 1.25 })
  if (result.kind === 'measured') expect(result.perSecond).toBeCloseTo(1000, 3)
})

test('pgbench: a run without a warm-up: its own rate', () => {
  expect(readResult(0, output(), 0)).toMatchObject({
    kind: 'measured',
    perSecond: 5500 / (5500 / 916.666667),
  })
})

test('pgbench: a client was aborted: no number, but what the server said', () => {
  const said =
    'pgbench: error: client 3 script 0 aborted in command 1 query 0: ERROR:  relation "t" does not exist\n'
  expect(readResult(2, said + output(), 1)).toEqual({
    kind: 'failed',
    why: 'client 3 script 0 aborted in command 1 query 0: ERROR: relation "t" does not exist',
  })
})

test('pgbench: transactions failed, none fatal: no number', () => {
  const result = readResult(0, output({ failed: 7 }), 1)
  expect(result).toEqual({ kind: 'failed', why: '7 of 5507 transactions failed' })
})

test('pgbench: it ended otherwise than with 0: no number', () => {
  expect(readResult(null, '', 1).kind).toBe('failed')
  expect(readResult(0, output({ transactions: 0 }), 1).kind).toBe('failed')
})

test('CPU time is that of all processes together, and unknown when one is not there', () => {
  const mine = cpuSeconds([process.pid])
  expect(cpuSeconds([])).toBeUndefined()
  expect(cpuSeconds([process.pid, 0])).toBeUndefined()
  if (mine !== undefined) expect(cpuSeconds([process.pid, process.pid])).toBeGreaterThanOrEqual(2 * mine)
})
