import type { Command } from 'commander'
import type { NodeStatus } from '../admin/api/node-status.ts'
import { type ApiFlags, ask, asking } from './api.ts'
import { integer } from './arguments.ts'
import { fields, printJson, table } from './print.ts'

interface StatusFlags extends ApiFlags {
  readonly watch?: true | number
}

const WATCH_SECONDS = 2
const CLEAR = '\u001b[H\u001b[2J'

export function statusCommand(): Command {
  return asking('status', 'ask a running node how it and its shards are')
    .option('--watch [seconds]', 'again and again (default: every 2 seconds)', integer(1, 3600))
    .action(status)
}

async function status(flags: StatusFlags): Promise<void> {
  for (;;) {
    const answer = await ask<NodeStatus>(flags, '/api/status')
    if (flags.json === true) printJson(answer)
    else show(answer, flags.watch !== undefined && process.stdout.isTTY === true)
    if (flags.watch === undefined) return
    await new Promise((done) =>
      setTimeout(done, (flags.watch === true ? WATCH_SECONDS : flags.watch!) * 1000),
    )
  }
}

/** Simple values as lines, lists of objects as tables. */
function show(answer: NodeStatus, clears: boolean): void {
  const values = Object.entries<unknown>(answer).filter(([, value]) => !Array.isArray(value))
  const lists = Object.entries<unknown>(answer).filter(([, value]) => Array.isArray(value))
  const tables = lists.map(([name, rows]) => `\n${name}\n${table(rows as Record<string, unknown>[])}`)
  console.log(`${clears ? CLEAR : ''}${[fields(Object.fromEntries(values)), ...tables].join('\n')}`)
}
