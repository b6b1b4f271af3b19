import { Command } from 'commander'
import { loadConfig } from '../cluster/config.ts'
import { configWarnings } from '../cluster/config-warnings.ts'
import { printJson } from './print.ts'

interface CheckFlags {
  readonly config: string
  readonly json?: boolean
}

export function configCommand(): Command {
  const command = new Command('config').description('the configuration file')
  command.addCommand(
    new Command('check')
      .description('is it understood, and what about it is dangerous? Asks no server')
      .requiredOption('--config <file>', 'weft.yaml')
      .option('--json', 'as JSON')
      .action(check),
  )
  return command
}

function check({ config: file, json }: CheckFlags): void {
  const config = loadConfig(file)
  const warnings = configWarnings(config)
  const { cluster, log, shards } = config
  if (json === true) return printJson({ cluster, shards: shards.length, log: log.kind, warnings })
  console.log(`${file}: cluster ${cluster}, ${shards.length} shards, log in ${log.kind}`)
  for (const warning of warnings) console.log(`warning: ${warning}`)
}
