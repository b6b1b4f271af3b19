import { Command } from 'commander'
import type { Change, Session } from '../admin/api/schemas.ts'
import { type ApiFlags, ask, asking, print } from './api.ts'
import { integer } from './arguments.ts'
import { table } from './print.ts'

const COLUMNS = ['pid', 'user', 'application', 'state', 'waits_for', 'since', 'query']
const sessionPid = integer(1, 2 ** 31 - 1)

export function sessionCommand(): Command {
  const command = new Command('session').description('client sessions, of all coordinators')
  command.addCommand(
    asking('list', 'who is connected, and what runs').action(async (flags: ApiFlags) => {
      print(flags, await ask<Session[]>(flags, '/api/sessions'), (all) => table(all, COLUMNS))
    }),
  )
  for (const [what, description] of [
    ['cancel', 'cancel the statement that a session runs'],
    ['kill', 'end a session; its transaction is rolled back'],
  ] as const) {
    command.addCommand(
      asking(what, description)
        .argument('<pid>', 'of weft session list', sessionPid)
        .action(async (pid: number, flags: ApiFlags) => {
          print(flags, await ask<Change>(flags, `/api/sessions/${pid}/${what}`, {}), (done) => done.what)
        }),
    )
  }
  return command
}
