import type { Options } from '../options.ts'
import { reasonOf, VERDICTS } from '../report/page.ts'
import { isGood } from '../report/run.ts'
import { type RunResult, runOf } from './result.ts'

/** A run as the table at the end of many tells of it. */
export interface Line {
  readonly run: Options
  readonly verdict: 'valid' | 'invalid' | 'unknown'
  /** An anomaly was seen: that a cluster was not whole in time may be a slow machine's doing. */
  readonly isFound: boolean
  readonly ok: number
  readonly of: number
  /** Why it is not valid. */
  readonly why: string
}

export function lineOf(run: Options, result: RunResult): Line {
  const told = runOf(result)
  const good = isGood(told)
  const ended = told.history.filter(({ type, process }) => type !== 'invoke' && process !== 'nemesis')
  return {
    run,
    verdict: VERDICTS[String(good) as keyof typeof VERDICTS].word,
    isFound: told.verdict.valid === false,
    ok: ended.filter(({ type }) => type === 'ok').length,
    of: ended.length,
    why: good === true ? '' : reasonOf(told),
  }
}

export function tableOf(lines: readonly Line[]): string {
  const head = ['verdict', 'workload', 'level', 'broken', 'seed', 'ok', 'of', 'why']
  const rows = lines.map(({ run, verdict, ok, of, why }) => [
    verdict,
    `${run.workload}${run.rows ? ' --rows' : ''}${run.mutant === undefined ? '' : ` (${run.mutant})`}`,
    `${run.isolation}${run.log === 'postgres' ? ', log in Postgres' : ''}`,
    ...[run.nemesis.join(',') || '–', String(run.seed), String(ok), String(of), why],
  ])
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((row) => row[i]?.length ?? 0)))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd()
  return [head, ...rows].map(line).join('\n')
}
