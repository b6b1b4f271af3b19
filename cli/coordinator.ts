import { availableParallelism } from 'node:os'
import { Command } from 'commander'
import { createLogger, type Logger } from '../admin/logger.ts'
import { type ClusterConfig, loadConfig } from '../cluster/config.ts'
import { defaultMemoryLimits } from '../coordinator/memory/memory-budget.ts'
import { startCoordinatorProcess } from '../embedded/coordinator-process.ts'
import { startCoordinatorWorkers, workerIsUp, workerNumber } from '../embedded/coordinator-workers.ts'
import { integer } from './arguments.ts'
import { serve } from './serve.ts'

interface CoordinatorFlags {
  readonly config: string
  readonly logLevel: string
  readonly workers: number
}

const WORKERS_MAX = 64
const MB = 1 << 20

export function coordinatorCommand(): Command {
  return new Command('coordinator')
    .description('a coordinator as a process of its own')
    .requiredOption('--config <file>', 'weft.yaml')
    .option('--workers <n>', 'processes behind one port: a number, or auto for one a core', workers, 1)
    .option('--log-level <level>', 'debug, info, warn or error', 'info')
    .action(coordinator)
}

function workers(text: string): number {
  return text === 'auto' ? Math.min(availableParallelism(), WORKERS_MAX) : integer(1, WORKERS_MAX)(text)
}

async function coordinator(flags: CoordinatorFlags): Promise<void> {
  const config = loadConfig(flags.config)
  const logger = createLogger({ level: flags.logLevel })
  const number = workerNumber()
  if (number !== undefined) {
    return worker(ofWorker(config, number, flags.workers), logger.child({ worker: number }))
  }
  if (flags.workers > 1) {
    return serve(
      (signal) => startCoordinatorWorkers({ config, count: flags.workers, logger, signal }),
      ({ listen, adminUrls }) => announce({ listen, adminUrl: adminUrls[0], adminUrls }),
    )
  }
  await serve(
    (signal) => startCoordinatorProcess({ config, logger, signal }),
    ({ listen, adminUrl }) => announce({ listen, adminUrl }),
  )
}

function announce(what: object): void {
  console.log(JSON.stringify({ event: 'up', ...what }))
}

function worker(config: ClusterConfig, logger: Logger): Promise<void> {
  return serve(
    (signal) => startCoordinatorProcess({ config, logger, signal, sharesPort: true }),
    (service) => workerIsUp(service),
  )
}

/** An admin port of its own, and its share of what clients may make this machine keep. */
function ofWorker(config: ClusterConfig, number: number, count: number): ClusterConfig {
  const { coordinator } = config
  const { host, port } = coordinator.adminListen
  const adminListen = { host, port: port === 0 ? 0 : port + number }
  const nodeMb = coordinator.memory?.nodeMb ?? defaultMemoryLimits().nodeBytes / MB
  const memory = { ...coordinator.memory, nodeMb: Math.max(1, Math.floor(nodeMb / count)) }
  return { ...config, coordinator: { ...coordinator, adminListen, memory } }
}
