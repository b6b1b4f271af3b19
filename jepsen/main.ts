import { dirname } from 'node:path'
import { commandOf, type Options, parseOptions, UsageError, usage } from './options.ts'
import { isGood } from './report/run.ts'
import { allRuns } from './run/matrix.ts'
import { mutantRuns } from './run/mutant-runs.ts'
import { type RunResult, writeIndex, writeReport } from './run/result.ts'
import { abandonRun, runOnce } from './run/run.ts'
import { type Line, lineOf, tableOf } from './run/table.ts'

const EXIT = { true: 0, false: 1, unknown: 2 } as const

let isAbandoned = false

process.exitCode = await main()

function abandonOnce(): void {
  if (isAbandoned) return
  isAbandoned = true
  console.error('jepsen: taking everything away')
  void abandonRun().finally(() => process.exit(130))
}

async function main(): Promise<number> {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    // Heard as often as it is said: npm passes on what the terminal has told us already, and people press it twice.
    process.on(name, abandonOnce)
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
    if (options.mutants) return await runMutants(options)
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
  const lines: Line[] = []
  for (const [i, run] of runs.entries()) {
    console.log(`\n${i + 1} of ${runs.length}: ${commandOf(run)}`)
    const { result, line } = await runAndKeep(run)
    lines.push(line)
    if (result !== undefined) results.push(result)
    const [first] = results
    if (first !== undefined) console.log(writeIndex(results, dirname(first.directory)))
  }
  const count = (verdict: string): number => lines.filter((line) => line.verdict === verdict).length
  console.log(`\n${tableOf(lines)}\n`)
  console.log(`${count('valid')} valid, ${count('invalid')} invalid, ${count('unknown')} unknown`)
  return count('invalid') > 0 ? 1 : count('unknown') > 0 ? 2 : 0
}

/** Each has to be found: that is what the status says. */
async function runMutants(options: Options): Promise<number> {
  const lines: Line[] = []
  for (const rounds of mutantRuns(options)) {
    for (const [round, run] of rounds.entries()) {
      console.log(`\n${run.mutant}, round ${round + 1} of ${rounds.length}: ${commandOf(run)}`)
      const { line } = await runAndKeep(run)
      lines.push(line)
      if (line.isFound) break
    }
  }
  const found = new Set(lines.filter(({ isFound }) => isFound).map(({ run }) => run.mutant))
  const missed = mutantRuns(options).filter(([run]) => !found.has(run?.mutant))
  console.log(`\n${tableOf(lines)}\n`)
  console.log(
    `${found.size} found, ${missed.length} not: ${missed.map(([run]) => run?.mutant).join(', ') || '–'}`,
  )
  return missed.length === 0 ? 0 : 1
}

async function runAndKeep(run: Options): Promise<{ result: RunResult | undefined; line: Line }> {
  try {
    const result = await runOnce(run, (line) => console.log(line))
    tell(result)
    return { result, line: lineOf(run, result) }
  } catch (error) {
    const why = (error as Error).message
    console.error(`jepsen: ${why}`)
    return { result: undefined, line: { run, verdict: 'unknown', isFound: false, ok: 0, of: 0, why } }
  }
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
      ? `whole again after ${liveness.seconds} s${liveness.waitedFor === undefined ? '' : `; last: ${liveness.waitedFor}`}`
      : `not whole in time: ${liveness.waitedFor}`
    console.log(how)
  }
  const valid = isGood(run)
  console.log(`valid: ${valid}   ${result.directory}/report.html`)
  return EXIT[String(valid) as keyof typeof EXIT]
}
