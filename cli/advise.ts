import { Command } from 'commander'
import { adviseDatabase } from '../advise/database.ts'
import type { AdviceReport } from '../advise/report.ts'
import { contentOf } from './explain.ts'
import { printJson, table } from './print.ts'

interface AdviseFlags {
  readonly from: string
  readonly statements?: string
  readonly json?: boolean
}

export function adviseCommand(): Command {
  return new Command('advise')
    .description(
      'by which columns the tables of a plain Postgres should be sharded, judged by its own statements',
    )
    .requiredOption(
      '--from <url>',
      'the Postgres to read, for example postgres://app@db:5432/shop; nothing there is changed',
    )
    .option(
      '--statements <file>',
      'judge by these (SQL, or a log of Postgres; - is standard input), not by pg_stat_statements',
    )
    .option('--json', 'as JSON')
    .action(advise)
}

async function advise({ from, statements, json }: AdviseFlags): Promise<void> {
  const text = statements === undefined ? undefined : await contentOf(statements)
  const report = await adviseDatabase(from, text)
  if (json === true) printJson(report)
  else console.log(tell(report))
}

const percent = (share: number | null): string => (share === null ? '-' : `${(share * 100).toFixed(1)} %`)
const OTHERS_MAX = 20
const STATEMENT_MAX = 60

function tell(report: AdviceReport): string {
  const { calls, time, tables, obstacles, ddl, plans, candidates, others } = report
  const inTime = time === null ? '' : `, ${percent(time.one)} of the time`
  const unread = report.unread === 0 ? '' : ` (${report.unread} could not be read)`
  const rest =
    others.length > OTHERS_MAX ? `\n  … and ${others.length - OTHERS_MAX} more: --json has all` : ''
  const shared = (one: { calls: number; time: number | null }) => ({
    calls: percent(one.calls),
    time: percent(one.time),
  })
  const parts = [
    `Of ${report.statements} statements${unread}, ${percent(calls.one)} of the calls${inTime} would be for one shard.`,
    `Tables\n${table(tables.map(({ bytes: _, ...one }) => one))}`,
    ...(obstacles.length === 0
      ? []
      : [
          `To be changed first\n${obstacles.map(({ table: name, what, todo }) => `  ${name}: ${what}\n    ${todo}`).join('\n')}`,
        ]),
    `Declarations\n${ddl.map((line) => `  ${line}`).join('\n')}`,
    ...(others.length === 0
      ? []
      : [
          `Not for one shard\n${table(
            others.slice(0, OTHERS_MAX).map((one) => ({
              where: one.reach,
              ...shared(one),
              statement: one.statement.replaceAll(/\s+/g, ' ').slice(0, STATEMENT_MAX),
              why: one.why,
            })),
          )}${rest}`,
        ]),
    `Shard keys, table by table: share of the statements about it that would be for one shard\n${table(
      candidates.map((one) => ({
        table: one.table,
        column: one.column,
        ...shared(one),
        chosen: one.chosen ? 'yes' : '',
      })),
    )}`,
    `Plans\n${table(plans.map((one) => ({ 'key of most': one.key, ...shared(one) })))}`,
  ]
  return parts.join('\n\n')
}
