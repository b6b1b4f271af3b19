import { writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { Verdict } from '../check/verdict.ts'
import type { Liveness } from '../cluster/liveness.ts'
import type { Op } from '../history/op.ts'
import { commandOf, type Options } from '../options.ts'
import { indexPage } from '../report/index-page.ts'
import { reportPage } from '../report/page.ts'
import { type Entry, isGood, type Run } from '../report/run.ts'
import { secondsOf } from '../report/samples.ts'

export interface RunResult {
  readonly options: Options
  readonly started: Date
  /** Where everything about it lies. */
  readonly directory: string
  readonly versions: Readonly<Record<string, string>>
  readonly history: readonly Op[]
  readonly verdict: Verdict
  readonly liveness: Liveness | undefined
  readonly notes: readonly string[]
}

const REPORT = 'report.html'

/** As the report tells it. */
export function runOf({ options, versions, started, history, verdict, liveness, notes }: RunResult): Run {
  return {
    ...{ workload: options.workload, isolation: options.isolation, nemesis: options.nemesis },
    ...{ seed: options.seed, command: commandOf(options), versions, started: started.toISOString() },
    ...{ history, verdict, notes },
    ...(liveness === undefined ? {} : { liveness }),
  }
}

/** The page of a run, and result.json: all but the history. */
export function writeReport(result: RunResult): Run {
  const run = runOf(result)
  const { history, ...rest } = run
  const summary = { valid: isGood(run), operations: history.length, ...rest }
  writeFileSync(join(result.directory, 'result.json'), `${JSON.stringify(summary, undefined, 2)}\n`)
  writeFileSync(join(result.directory, REPORT), reportPage(run))
  return run
}

/** A page over the pages of several runs, in `directory`; returns where it is. */
export function writeIndex(results: readonly RunResult[], directory: string): string {
  const entries = results.map((result): Entry => {
    const { history, ...run } = runOf(result)
    const operations = history.filter(
      ({ type, process }) => type === 'invoke' && process !== 'nemesis',
    ).length
    const href = join(relative(directory, result.directory), REPORT)
    return { run, operations, seconds: secondsOf(history), href }
  })
  const file = join(directory, 'index.html')
  writeFileSync(file, indexPage(entries, 'Weft, tested the way Jepsen tests'))
  return file
}
