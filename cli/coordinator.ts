import { Command } from 'commander'
import { createLogger } from '../admin/logger.ts'
import { loadConfig } from '../cluster/config.ts'
import { startCoordinatorProcess } from '../embedded/coordinator-process.ts'
import { serve } from './serve.ts'

interface CoordinatorFlags {
  readonly config: string
  readonly logLevel: string
}

export function coordinatorCommand(): Command {
  return new Command('coordinator')
    .description('a coordinator as a process of its own')
    .requiredOption('--config <file>', 'weft.yaml')
    .option('--log-level <level>', 'debug, info, warn or error', 'info')
    .action(coordinator)
}

async function coordinator(flags: CoordinatorFlags): Promise<void> {
  const config = loadConfig(flags.config)
  const logger = createLogger({ level: flags.logLevel })
  await serve(
    (signal) => startCoordinatorProcess({ config, logger, signal }),
    ({ listen, adminUrl }) => console.log(JSON.stringify({ event: 'up', listen, adminUrl })),
  )
}
