import { Command } from 'commander'
import { loadConfig } from '../cluster/config.ts'
import { SetupError } from '../errors/setup-error.ts'

export function coordinatorCommand(): Command {
  return new Command('coordinator')
    .description('a coordinator as a process of its own')
    .requiredOption('--config <file>', 'weft.yaml')
    .action((flags: { config: string }) => {
      loadConfig(flags.config)
      throw new SetupError('not built yet')
    })
}
