import { describe, expect, test } from 'vitest'
import { listAppend } from '../check/list-append/list-append.ts'
import { atOnce, final, inTurn, STRICT, txn } from '../check/testing/histories.ts'
import type { Op } from '../history/op.ts'
import { indexPage } from './index-page.ts'
import { reportPage } from './page.ts'
import { isGood, type Run } from './run.ts'
import { bandsOf, quantile } from './samples.ts'

const GOOD = inTurn(txn(['append', 1, 1]), final(txn(['r', 1, [1]])))
const SKEW = atOnce(txn(['r', 1, []], ['append', 2, 1]), txn(['r', 2, []], ['append', 1, 2]))
const nemesis = (time: number, f: string, at?: string): Op => {
  return {
    index: 0,
    time,
    type: 'info',
    process: 'nemesis',
    f,
    value: at === undefined ? null : { at, what: 'c1' },
  }
}

function runOf(history: readonly Op[], more: Partial<Run> = {}): Run {
  return {
    workload: 'list-append',
    isolation: 'serializable',
    nemesis: ['kill-coordinator'],
    seed: 42,
    command: 'npm run jepsen -- --seed 42',
    versions: { Postgres: '18.1 <x>' },
    started: '2026-11-30T15:00:00Z',
    history,
    verdict: listAppend(history, STRICT),
    liveness: { ok: true, seconds: 1.5 },
    notes: [],
    ...more,
  }
}

describe('report', () => {
  test('a valid run: verdict, charts, bands, command, versions, nothing from elsewhere', () => {
    const history = [
      ...GOOD,
      nemesis(1e6, 'kill-coordinator', 'start'),
      nemesis(3e6, 'kill-coordinator', 'stop'),
    ]
    const page = reportPage(runOf(history))
    expect(page).toContain('<h1>list-append: valid</h1>')
    expect(page).toContain('npm run jepsen -- --seed 42')
    expect(page).toContain('18.1 &lt;x&gt;')
    expect(page.match(/class="chart"/g)).toHaveLength(3)
    expect(page.match(/(src|href)=|url\(|@import|<script/g)).toBeNull()
    expect(page.indexOf('<h1>')).toBeLessThan(page.indexOf('<svg'))
  })

  test('an invalid run: the anomaly in words and as a picture', () => {
    const page = reportPage(runOf(SKEW))
    expect(page).toContain('<h1>list-append: invalid</h1>')
    expect(page).toContain('T1 &lt; T2, because T1 did not see T2&#39;s append'.replace('&#39;', "'"))
    expect(page).toContain('class="cycle"')
  })

  test('a cluster that did not come back is not good, whatever it answered', () => {
    const run = runOf(GOOD, { liveness: { ok: false, seconds: 10, waitedFor: 'shard 2' } })
    expect(isGood(run)).toBe(false)
    expect(reportPage(run)).toContain('not whole again: shard 2')
  })

  test('an empty history has a page, too', () => {
    expect(reportPage(runOf([]))).toContain('<h1>list-append: unknown</h1>')
  })

  test('errors by SQLSTATE', () => {
    const failed = GOOD.map(
      (op): Op =>
        op.index === 1 ? { ...op, type: 'fail', error: { sqlstate: '40001', message: 'no <b>' } } : op,
    )
    expect(reportPage(runOf(failed))).toMatch(/<code>40001<\/code>[\s\S]*no &lt;b&gt;/)
  })

  test('bands: from start to stop, or to the end; what failed to break is none', () => {
    const history = [
      nemesis(1e9, 'kill', 'start'),
      nemesis(2e9, 'pause', 'failed'),
      nemesis(3e9, 'kill', 'stop'),
      nemesis(4e9, 'slow'),
      { ...nemesis(6e9, 'x', 'failed') },
    ]
    expect(bandsOf(history)).toEqual([
      { fault: 'kill', fromSeconds: 1, toSeconds: 3 },
      { fault: 'slow', fromSeconds: 4, toSeconds: 6 },
    ])
  })

  test('quantiles', () => {
    expect(quantile([1, 2, 3, 4], 0.5)).toBe(3)
    expect(quantile([1], 0.99)).toBe(1)
    expect(quantile([], 0.5)).toBeUndefined()
  })

  test('the index: what is not valid first', () => {
    const entry = (history: readonly Op[], href: string) => ({
      run: runOf(history),
      operations: 2,
      seconds: 1,
      href,
    })
    const page = indexPage([entry(GOOD, 'good.html'), entry(SKEW, 'bad.html')], 'Release gate')
    expect(page.indexOf('bad.html')).toBeLessThan(page.indexOf('good.html'))
    expect(page).toContain('2 runs, 1 invalid, 0 unknown, 4 operations')
  })
})
