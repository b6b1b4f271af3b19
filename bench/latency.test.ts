import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { exactQuantiles, latenciesMs, takeLatencies } from './latency.ts'

test('latency: from a paced log of pgbench: without what a transaction waited for its turn to begin', () => {
  const log = '0 1 5500 0 1700000000 123456 500\n3 2 12000 0 1700000001 5 0\n'
  expect(latenciesMs(log)).toEqual([5, 12])
})

test('latency: what ended during the warm-up does not count', () => {
  const log = '0 1 9000 0 1700000000 900000\n0 2 1500 0 1700000001 5\n0 3 1000 0 1700000002 5\n'
  expect(latenciesMs(log)).toEqual([9, 1.5, 1])
  expect(latenciesMs(log, 1)).toEqual([1.5, 1])
})

test('latency: logs of all threads are read, and are gone', () => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-latency-'))
  try {
    writeFileSync(join(dir, 'run.17'), '0 1 1000 0 1700000000 5\n')
    writeFileSync(join(dir, 'run.17.1'), '0 1 3000 0 1700000000 5\n')
    writeFileSync(join(dir, 'run2.18'), '0 1 7000 0 1700000000 5\n')
    expect(takeLatencies(join(dir, 'run')).sort()).toEqual([1, 3])
    expect(readdirSync(dir)).toEqual(['run2.18'])
  } finally {
    rmSync(dir, { recursive: true })
  }
})

test('latency: median and 99th percentile', () => {
  expect(exactQuantiles([])).toBeUndefined()
  expect(exactQuantiles(Array.from({ length: 200 }, (_, i) => 200 - i))).toEqual({
    count: 200,
    p50: 101,
    p99: 199,
  })
})
