import { Command } from 'commander'
import type { Resolved, TransactionInfo } from '../admin/api/schemas.ts'
import { type ApiFlags, ask, asking, print } from './api.ts'
import { fields, table } from './print.ts'

const pathOf = (id: string): string => `/api/transactions/${encodeURIComponent(id)}`
const flat = (one: TransactionInfo) => ({ ...one, prepared_on: one.prepared_on.join(',') })

export function txnCommand(): Command {
  const command = new Command('txn').description('transactions over several shards that are prepared')
  command.addCommand(
    asking('list', 'those that are prepared somewhere now, and what the log says').action(
      async (flags: ApiFlags) => {
        print(flags, await ask<TransactionInfo[]>(flags, '/api/transactions'), (all) =>
          all.length === 0 ? 'nothing is prepared' : table(all.map(flat)),
        )
      },
    ),
  )
  command.addCommand(
    asking('show', 'one of them')
      .argument('<id>')
      .action(async (id: string, flags: ApiFlags) => {
        print(flags, await ask<TransactionInfo>(flags, pathOf(id)), (one) => fields(flat(one)))
      }),
  )
  command.addCommand(
    asking(
      'resolve',
      'settle one now, by the rules of recovery: what the log says holds, otherwise it is aborted',
    )
      .argument('<id>')
      .action(async (id: string, flags: ApiFlags) => {
        const answer = await ask<Resolved>(flags, `${pathOf(id)}/resolve`, {})
        print(flags, answer, tell)
        if (answer.prepared_on.length > 0) process.exitCode = 1
      }),
  )
  return command
}

function tell({ transaction, log, prepared_on: left }: Resolved): string {
  const outcome = log === 'commit' ? 'committed' : 'aborted'
  if (left.length === 0) return `${transaction} is ${outcome} on all shards`
  return `${transaction} is ${outcome}; shard ${left.join(', ')} has not carried it out yet`
}
