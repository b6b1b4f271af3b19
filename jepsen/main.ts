import { dirname } from 'node:path'
import { commandOf, type Options, parseOptions, UsageError, usage } from './options.ts'
import { isGood } from './report/run.ts'
import { allRuns } from './run/matrix.ts'
import { type RunResult, writeIndex, writeReport } from './run/result.ts'
import { abandonRun, runOnce } from './run/run.ts'

const EXIT = { true: 0, false: 1, unknown: 2 } as const

process.exitCode = await main()

async function main(): Promise<number> {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => void abandonRun().finally(() => process.exit(130)))
  }
  process.once('uncaughtException', (error) => {
    console.error(error)
    void abandonRun().finally(() => process.exit(2))
  })
  try {
    const options = parseOptions(process.argv.slice(2))
    if (options === 'help') {
      console.log(usage)
      return 0
    }
    return options.all ? await runAll(options) : await runAndTell(options)
  } catch (error) {
    console.error(
      `jepsen: ${error instanceof UsageError ? error.message : ((error as Error).stack ?? error)}`,
    )
    return 2
  }
}

/** One after the other; the worst is the status of all. */
async function runAll(options: Options): Promise<number> {
  const runs = allRuns(options)
  const results: RunResult[] = []
  const statuses: number[] = []
  for (const [i, run] of runs.entries()) {
    console.log(`\n${i + 1} of ${runs.length}: ${commandOf(run)}`)
    try {
      const result = await runOnce(run, (line) => console.log(line))
      results.push(result)
      statuses.push(tell(result))
    } catch (error) {
      console.error(`jepsen: ${(error as Error).message}`)
      statuses.push(EXIT.unknown)
    }
    const [first] = results
    if (first !== undefined) console.log(writeIndex(results, dirname(first.directory)))
  }
  const count = (status: number): number => statuses.filter((each) => each === status).length
  console.log(`\n${count(0)} valid, ${count(1)} invalid, ${count(2)} unknown`)
  return count(1) > 0 ? 1 : count(2) > 0 ? 2 : 0
}

async function runAndTell(options: Options): Promise<number> {
  return tell(await runOnce(options, (line) => console.log(line)))
}

function tell(result: RunResult): number {
  const run = writeReport(result)
  const { verdict, liveness, notes, history } = run
  const ended = history.filter((op) => op.process !== 'nemesis' && op.type !== 'invoke')
  const count = (type: string): number => ended.filter((op) => op.type === type).length
  console.log(`${ended.length} operations: ${count('ok')} ok, ${count('fail')} fail, ${count('info')} info`)
  for (const found of verdict.anomalies.slice(0, 5)) console.log(`${found.kind}: ${found.text}`)
  for (const note of [...verdict.notes, ...notes]) console.log(note)
  if (liveness !== undefined) {
    const how = liveness.ok
      ? `whole again after ${liveness.seconds} s`
      : `not whole in time: ${liveness.waitedFor}`
    console.log(how)
  }
  const valid = isGood(run)
  console.log(`valid: ${valid}   ${result.directory}/report.html`)
  return EXIT[String(valid) as keyof typeof EXIT]
}
