/** What came out, for a person: lines while it runs, and the table of docs/clients.md. */
import { clients, type Step, steps } from './clients.ts'
import type { Result, Verdict } from './run.ts'

export type Results = Readonly<Record<string, Omit<Result, 'name'>>>

const begin = '<!-- the table: npm run test:clients -- --write -->'
const end = '<!-- end of the table -->'

interface Marked extends Verdict {
  readonly step: Step
  readonly mark: 'yes' | '–' | 'no'
  /** Differs though no reason is known, or is as plain though one is. */
  readonly unexpected: boolean
}

export function marked({ name, steps: verdicts }: Result): Marked[] {
  const known = clients.find((client) => client.name === name)?.differs ?? {}
  return steps.map((step) => {
    const { verdict, why } = verdicts[step]
    const differs = verdict === 'differs'
    return {
      ...{ step, verdict },
      mark: differs ? 'no' : verdict === 'none' ? '–' : 'yes',
      unexpected: differs !== (known[step] !== undefined),
      ...(why === undefined ? {} : { why: differs ? (known[step] ?? why) : why }),
    }
  })
}

export function report(result: Result, ms: number): string[] {
  const all = marked(result)
  const same = all.filter(({ mark }) => mark === 'yes').length
  const told = `${same} of ${all.length} as plain, ${(ms / 1000).toFixed(1)} s`
  const head = `${result.name.padEnd(16)} ${result.version.padEnd(10)} ${told}`
  const rest = all.filter(({ mark }) => mark !== 'yes')
  return [
    head,
    ...rest.map(({ mark, step, why, unexpected }) => `  ${unexpected ? 'FAILED' : mark} ${step}: ${why}`),
  ]
}

export function table(results: Results): string {
  const rows = clients.flatMap(({ name, title }) => {
    const result = results[name]
    if (result === undefined) return []
    const marks = marked({ name, ...result }).map(({ mark }) => mark)
    return [`| ${[title, result.version, ...marks].join(' | ')} |`]
  })
  const notes = clients.flatMap(({ name, title }) => {
    const result = results[name]
    if (result === undefined) return []
    const different = marked({ name, ...result }).filter(({ mark }) => mark !== 'yes')
    return different.map(({ step, why }) => `- ${title}, ${step}: ${why}`)
  })
  const head = ['client', 'version', ...steps]
  return [`| ${head.join(' | ')} |`, `|${' --- |'.repeat(head.length)}`, ...rows, '', ...notes].join('\n')
}

/** The page with the table of these results in the place of its own. */
export function withTable(page: string, results: Results): string {
  const [before, rest] = page.split(begin)
  const after = rest?.split(end)[1]
  if (before === undefined || after === undefined)
    throw new Error('docs/clients.md has no place for the table')
  return `${before}${begin}\n${table(results)}\n${end}${after}`
}
