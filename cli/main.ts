import { Command } from 'commander'
import { version } from '../cluster/version.ts'
import { agentCommand } from './agent.ts'
import { coordinatorCommand } from './coordinator.ts'
import { devCommand } from './dev.ts'
import { reportError } from './report.ts'
import { statusCommand } from './status.ts'

const program = new Command('weft')
  .description('Distributed SQL transactions over sharded, unmodified Postgres')
  .version(version)
  .showHelpAfterError('(weft --help lists the commands and their flags)')

for (const command of [devCommand(), coordinatorCommand(), agentCommand(), statusCommand()])
  program.addCommand(command)

try {
  await program.parseAsync()
} catch (error) {
  reportError(error)
  process.exit(1)
}
