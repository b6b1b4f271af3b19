import { parseOptions, UsageError, usage } from './options.ts'
import { abandonRun, type RunResult, runOnce, writeSummary } from './run/run.ts'

const EXIT = { true: 0, false: 1, unknown: 2 } as const

process.exitCode = await main()

async function main(): Promise<number> {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => void abandonRun().finally(() => process.exit(130)))
  }
  try {
    const options = parseOptions(process.argv.slice(2))
    if (options === 'help') {
      console.log(usage)
      return 0
    }
    const result = await runOnce(options, (line) => console.log(line))
    writeSummary(result)
    return tell(result)
  } catch (error) {
    console.error(
      `jepsen: ${error instanceof UsageError ? error.message : ((error as Error).stack ?? error)}`,
    )
    return 2
  }
}

function tell({ verdict, liveness, notes, directory, history }: RunResult): number {
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
  const valid = liveness?.ok === false ? false : verdict.valid
  console.log(`valid: ${valid}   ${directory}`)
  return EXIT[String(valid) as keyof typeof EXIT]
}
