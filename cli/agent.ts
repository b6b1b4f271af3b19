import { Command } from 'commander'
import { createLogger } from '../admin/logger.ts'
import { loadConfig } from '../cluster/config.ts'
import { startAgentProcess } from '../embedded/agent-process.ts'
import { SetupError } from '../errors/setup-error.ts'
import { integer } from './arguments.ts'
import { serve } from './serve.ts'

interface AgentFlags {
  readonly config: string
  readonly shard?: number
  readonly logLevel: string
}

export function agentCommand(): Command {
  return new Command('agent')
    .description('the agent of one shard, or of several, as a process of its own')
    .requiredOption('--config <file>', 'weft.yaml')
    .option('--shard <id>', 'only this shard (default: all in the file)', integer(0, 1023))
    .option('--log-level <level>', 'debug, info, warn or error', 'info')
    .action(agent)
}

async function agent(flags: AgentFlags): Promise<void> {
  const config = loadConfig(flags.config)
  const all = config.shards.map(({ id }) => id)
  const shards = flags.shard === undefined ? all : all.filter((id) => id === flags.shard)
  if (shards.length === 0) {
    throw new SetupError(
      `${flags.config} has no shard ${flags.shard}`,
      `It has shards 0 to ${all.length - 1}.`,
    )
  }
  const logger = createLogger({ level: flags.logLevel })
  await serve(
    (signal) => startAgentProcess({ config, shards, logger, signal }),
    (process) =>
      console.log(JSON.stringify({ event: 'up', shards: process.shards, adminUrl: process.adminUrl })),
  )
}
