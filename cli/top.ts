import type { Command } from 'commander'
import type { Top } from '../admin/api/schemas.ts'
import { type ApiFlags, ask, asking } from './api.ts'
import { integer } from './arguments.ts'
import { printJson, table } from './print.ts'

interface TopFlags extends ApiFlags {
  readonly every: number
  readonly once?: true
}

const CLEAR = '\u001b[H\u001b[2J'

export function topCommand(): Command {
  return asking(
    'top',
    'what runs now on all coordinators, open transactions, and the statements that took most time',
  )
    .option('--every <seconds>', 'look again', integer(1, 3600), 2)
    .option('--once', 'look once; as it is with --json, and where the output is no terminal')
    .action(top)
}

async function top(flags: TopFlags): Promise<void> {
  const isOnce = flags.once === true || flags.json === true || process.stdout.isTTY !== true
  for (;;) {
    const answer = await ask<Top>(flags, '/api/top')
    if (flags.json === true) printJson(answer)
    else console.log(`${isOnce ? '' : CLEAR}${tell(answer, isOnce ? undefined : process.stdout.rows)}`)
    if (isOnce) return
    await new Promise((done) => setTimeout(done, flags.every * 1000))
  }
}

const COLUMNS = ['pid', 'user', 'application', 'seconds', 'waits_for', 'query']

/** `lines`: no more than the terminal has. */
function tell({ at, sessions, running, transactions, prepared, statements }: Top, lines?: number): string {
  const ms = (value: number): string => value.toFixed(value < 10 ? 2 : 0)
  const rows = statements.map((one) => ({
    ...{ calls: one.calls, total_ms: ms(one.total_ms), mean_ms: ms(one.mean_ms), rows: one.rows },
    ...{ route: one.route, shards: (one.shards / Math.max(1, one.calls)).toFixed(1), query: one.query },
  }))
  const parts = [
    `${at}  ${sessions} sessions, ${running.length} run a statement, ${transactions.length} wait in a transaction, ${prepared} prepared`,
    ...(running.length === 0 ? [] : [`running\n${table(running, COLUMNS)}`]),
    ...(transactions.length === 0 ? [] : [`in transactions\n${table(transactions, COLUMNS)}`]),
    ...(rows.length === 0 ? [] : [`statements, by time\n${table(rows)}`]),
  ]
  const text = parts.join('\n\n')
  return lines === undefined
    ? text
    : text
        .split('\n')
        .slice(0, lines - 1)
        .join('\n')
}
