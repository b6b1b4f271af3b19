import { Command } from 'commander'
import { loadConfig } from '../cluster/config.ts'
import { SetupError } from '../errors/setup-error.ts'
import { integer } from './arguments.ts'

export function agentCommand(): Command {
  return new Command('agent')
    .description('the agent of one shard, or of several, as a process of its own')
    .requiredOption('--config <file>', 'weft.yaml')
    .option('--shard <id>', 'only this shard (default: all in the file)', integer(0, 1023))
    .action((flags: { config: string; shard?: number }) => {
      const config = loadConfig(flags.config)
      const wanted = flags.shard
      const shards =
        wanted === undefined ? config.shards : config.shards.filter((shard) => shard.id === wanted)
      if (shards.length === 0) throw new SetupError(`${flags.config} has no shard ${wanted}`)
      throw new SetupError('not built yet')
    })
}
