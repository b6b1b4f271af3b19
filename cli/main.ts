import { Command } from 'commander'
import { version } from '../cluster/version.ts'
import { adviseCommand } from './advise.ts'
import { agentCommand } from './agent.ts'
import { benchCommand } from './bench.ts'
import { completionCommand } from './completion.ts'
import { configCommand } from './config.ts'
import { coordinatorCommand } from './coordinator.ts'
import { devCommand } from './dev.ts'
import { auditCommand, doctorCommand } from './doctor.ts'
import { explainCommand } from './explain.ts'
import { reportError } from './report.ts'
import { sessionCommand } from './sessions.ts'
import { statusCommand } from './status.ts'
import { shardCommand, slotsCommand, tableCommand } from './tables.ts'
import { topCommand } from './top.ts'
import { txnCommand } from './transactions.ts'

const program = new Command('weft')
  .description('Distributed SQL transactions over sharded, unmodified Postgres')
  .version(version)
  .showHelpAfterError('(weft --help lists the commands and their flags)')

const commands = [
  ...[devCommand(), coordinatorCommand(), agentCommand(), configCommand()],
  ...[statusCommand(), sessionCommand(), txnCommand(), shardCommand(), slotsCommand(), tableCommand()],
  ...[
    doctorCommand(),
    auditCommand(),
    explainCommand(),
    adviseCommand(),
    topCommand(),
    benchCommand(),
    completionCommand(() => program),
  ],
]
for (const command of commands) program.addCommand(command)

try {
  await program.parseAsync()
} catch (error) {
  reportError(error)
  process.exit(1)
}
