/** Judges a history that is there: one of ours, or of Jepsen's, as EDN or JSON lines. */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { CHECKS } from './check/checks.ts'
import type { Check, CheckOptions, Isolation } from './check/verdict.ts'
import { readHistory } from './history/read.ts'

const usage = `npm run jepsen:judge -- FILE --workload NAME [options]: judges a history (EDN or JSON lines)

  --workload NAME     ${Object.keys(CHECKS)
    .join(', ')
    .replace(/(.{30,80}), /g, '$1,\n                      ')}
  --isolation LEVEL   read-committed, repeatable-read or serializable (serializable)
  --realtime          what was acknowledged before is seen: strict
  --session           the same within each process
  --options JSON      what a checker has to know, as in jepsen/check/verdict.ts:
                      {"bank": {"accounts": {"0": 10, "1": 10}}}, {"linearizableKeys": true}, …

Exit status: 0 valid, 1 invalid, 2 unknown or it could not be judged.`

const EXIT = { true: 0, false: 1, unknown: 2 } as const

process.exitCode = main()

function main(): number {
  try {
    const { values, positionals } = parse()
    const [file] = positionals
    if (values.help === true || file === undefined) {
      console.log(usage)
      return values.help === true ? 0 : 2
    }
    const { anomalies, allowed, counts, notes, valid } = checkOf(values.workload)(
      readHistory(readFileSync(file, 'utf8')),
      optionsOf(values),
    )
    for (const { kind, text } of anomalies) console.log(`${kind}:\n${text}\n`)
    for (const { kind } of allowed) console.log(`seen, and allowed: ${kind}`)
    for (const note of notes) console.log(note)
    console.log(
      Object.entries(counts)
        .map(([what, count]) => `${what}: ${count}`)
        .join(', '),
    )
    console.log(`valid: ${valid}`)
    return EXIT[String(valid) as keyof typeof EXIT]
  } catch (error) {
    console.error(`judge: ${(error as Error).message}`)
    return 2
  }
}

function parse() {
  return parseArgs({
    allowPositionals: true,
    options: {
      workload: { type: 'string', default: 'list-append' },
      isolation: { type: 'string', default: 'serializable' },
      realtime: { type: 'boolean', default: false },
      session: { type: 'boolean', default: false },
      options: { type: 'string', default: '{}' },
      help: { type: 'boolean', short: 'h' },
    },
  })
}

function checkOf(workload: string): Check {
  const checks: Readonly<Record<string, Check>> = CHECKS
  const check = checks[workload]
  if (check === undefined)
    throw new Error(`no workload ${workload}; there are ${Object.keys(CHECKS).join(', ')}`)
  return check
}

function optionsOf(values: {
  isolation: string
  realtime: boolean
  session: boolean
  options: string
}): CheckOptions {
  const levels: readonly Isolation[] = ['read committed', 'repeatable read', 'serializable']
  const isolation = levels.find((level) => level === values.isolation.replace('-', ' '))
  if (isolation === undefined)
    throw new Error('--isolation takes read-committed, repeatable-read or serializable')
  const { realtime, session } = values
  return {
    isolation,
    realtime,
    session: session || realtime,
    ...(JSON.parse(values.options) as Partial<CheckOptions>),
  }
}
