import { expect, test } from 'vitest'
import { type Case, selectCases } from './lines.ts'
import type { RunResult } from './pgbench.ts'
import { formatCommits, formatLatencies, formatTable, rangeOf, summarize } from './report.ts'
import type { System, SystemName } from './system.ts'

const row = selectCases(/^point select, simple, 32/, undefined)[0] as Case
const at = (perSecond: number): RunResult => ({
  kind: 'measured',
  perSecond,
  latencyMs: 1,
  transactions: 100,
  cpuUs: 50,
})
const failed: RunResult = { kind: 'failed', why: 'client 0 aborted: ERROR: no' }
const system = (name: SystemName): System => ({
  name,
  title: name,
  target: { host: '', port: 0, user: '', database: '' },
  modes: ['simple'],
  pids: [],
  stop: async () => undefined,
})

test('report: median: of an odd and an even number of values', () => {
  expect(rangeOf([5, 1, 3])).toEqual({ median: 3, low: 1, high: 5 })
  expect(rangeOf([4, 1])).toEqual({ median: 2.5, low: 1, high: 4 })
})

test('report: the machine slows down between rounds: ratios are of the same round, and hold', () => {
  const results = new Map<SystemName, RunResult[]>([
    ['plain', [at(1000), at(100), at(500)]],
    ['weft', [at(500), at(50), at(250)]],
  ])
  const { weft } = summarize({ case: row, results }).cells
  expect(weft).toMatchObject({ perSecond: { median: 250 }, ratio: { median: 0.5, low: 0.5, high: 0.5 } })
})

test('report: one round failed: no number in the table, and the error below it', () => {
  const results = new Map<SystemName, RunResult[]>([
    ['plain', [at(1000), at(1000)]],
    ['weft', [at(500), failed]],
  ])
  const summary = summarize({ case: row, results })
  expect(summary.cells.weft).toEqual(failed)
  const table = formatTable([summary], [system('plain'), system('weft')])
  expect(table).toContain('point select, simple, 32 clients, weft: client 0 aborted: ERROR: no')
  expect(table).not.toContain('500')
})

test('report: plain Postgres failed in a round: rates but no ratios', () => {
  const results = new Map<SystemName, RunResult[]>([
    ['plain', [failed]],
    ['weft', [at(500)]],
  ])
  expect(summarize({ case: row, results }).cells.weft).toMatchObject({ kind: 'measured', ratio: undefined })
})

test('report: a system that cannot do a mode: a dash', () => {
  const results = new Map<SystemName, RunResult[]>([['plain', [at(1000)]]])
  const table = formatTable([summarize({ case: row, results })], [system('plain'), system('pgbouncer')])
  expect(table.split('\n')[1]).toMatch(/1000\s+1000\.\.1000\s+-$/)
})

test('report: transactions over several shards: durable steps, and where the time goes', () => {
  const across = (latencyMs: number, ms: number): RunResult => ({
    kind: 'measured',
    perSecond: 10,
    latencyMs,
    transactions: 100,
    cpuUs: 50,
    commitPhases: ['preparing', 'deciding', 'committing'].map((name) => ({
      name,
      perTransaction: 1,
      meanMs: ms,
    })),
  })
  const results = new Map<SystemName, RunResult[]>([['weft', [across(20, 4), across(22, 5), across(90, 9)]]])
  const summary = summarize({ case: row, results })
  expect(summary.cells.weft).toMatchObject({ commit: { sequentialDurableSteps: 3, beforeMs: 8 } })
  expect(formatCommits([summary])).toContain(
    '3.00 sequential durable steps; before the commit 8.00, preparing 5.00, deciding 5.00, committing 5.00',
  )
})

test('report: no transaction over several shards: nothing about them', () => {
  const results = new Map<SystemName, RunResult[]>([['weft', [at(10)]]])
  expect(formatCommits([summarize({ case: row, results })])).toBeUndefined()
})

test('report: rows with one client: how long a transaction took, medians of the rounds', () => {
  const alone = selectCases(/^transfer, simple, 1 /, undefined)[0] as Case
  const took = (p50: number): RunResult =>
    ({ ...at(1), quantilesMs: { count: 10, p50, p99: 10 * p50 } }) as RunResult
  const results = new Map<SystemName, RunResult[]>([
    ['plain', [at(1)]],
    ['weft', [took(1), took(3), took(2)]],
  ])
  const systems = [system('plain'), system('weft')]
  const text = formatLatencies([summarize({ case: alone, results })], systems)
  expect(text?.split('\n').at(-1)).toMatch(/^transfer, simple, 1 clients +- +- +2\.00 +20\.00$/)
  expect(
    formatLatencies([summarize({ case: row, results: new Map([['weft', [at(1)]]]) })], systems),
  ).toBeUndefined()
})
