import cluster, { type Worker } from 'node:cluster'
import type { Logger } from '../admin/logger.ts'
import type { ClusterConfig } from '../cluster/config.ts'
import { SetupError } from '../errors/setup-error.ts'
import type { CoordinatorProcess } from './coordinator-process.ts'
import { assertPortFree } from './ports.ts'

/** What a worker tells when it serves. */
export type WorkerUp = Pick<CoordinatorProcess, 'listen' | 'adminUrl'>

export interface CoordinatorWorkersOptions {
  readonly config: ClusterConfig
  readonly count: number
  readonly logger: Logger
  /** Ends the wait for the workers. */
  readonly signal: AbortSignal
}

export interface CoordinatorWorkers {
  readonly listen: string
  /** By worker. */
  readonly adminUrls: readonly string[]
  stop(): Promise<void>
}

const NUMBER = 'WEFT_WORKER'
const AGAIN_MS_MIN = 500
const AGAIN_MS_MAX = 30_000

/** The number of the worker that this process is; undefined: it is none. */
export function workerNumber(): number | undefined {
  return cluster.isWorker ? Number(process.env[NUMBER]) : undefined
}

/** Of a worker: tells the process that started it. */
export function workerIsUp({ listen, adminUrl }: WorkerUp): void {
  process.send?.({ listen, adminUrl })
}

/**
 * `weft coordinator --workers N`: N coordinators, each a process with an event loop and links of its own, behind one port.
 * Node's cluster module hands them the connections in turn. One that ends is started again; when this process ends,
 * all of them do. The module's workers are this program with the same arguments.
 */
export async function startCoordinatorWorkers(
  options: CoordinatorWorkersOptions,
): Promise<CoordinatorWorkers> {
  const { config, count, signal } = options
  const { host, port } = config.coordinator.listen
  await assertPortFree(host, port, 'clients', 'coordinator.listen')
  const workers = new Workers(options)
  signal.addEventListener('abort', () => void workers.stop(), { once: true })
  try {
    const up = await Promise.all(Array.from({ length: count }, (_, n) => workers.start(n)))
    const adminUrls = up.map(({ adminUrl }) => adminUrl)
    return { listen: up[0]!.listen, adminUrls, stop: () => workers.stop() }
  } catch (error) {
    await workers.stop()
    throw error
  }
}

class Workers {
  private readonly logger: Logger
  private readonly running = new Set<Worker>()
  private readonly timers = new Set<NodeJS.Timeout>()
  private isStopping = false

  constructor({ logger }: CoordinatorWorkersOptions) {
    this.logger = logger
  }

  /** Resolves when it serves, rejects when it ends before. */
  start(n: number): Promise<WorkerUp> {
    const worker = cluster.fork({ [NUMBER]: String(n) })
    this.running.add(worker)
    let isUp = false
    return new Promise((up, failed) => {
      worker.once('message', (what: WorkerUp) => {
        isUp = true
        up(what)
      })
      worker.once('exit', (code: number | null, by: string | null) => {
        this.running.delete(worker)
        const why = by ?? `exit code ${code}`
        // It has said what is wrong itself.
        failed(new SetupError(`worker ${n} of the coordinator has ended (${why})`))
        if (isUp && !this.isStopping) this.startAgain(n, why)
      })
    })
  }

  private startAgain(n: number, why: string, afterMs = AGAIN_MS_MIN): void {
    this.logger.error({ worker: n, why, afterMs }, 'a worker has ended: it is started again')
    const timer = setTimeout(() => {
      this.timers.delete(timer)
      this.start(n).then(
        () => this.logger.info({ worker: n }, 'the worker serves again'),
        (error: Error) => {
          if (!this.isStopping) this.startAgain(n, error.message, Math.min(AGAIN_MS_MAX, afterMs * 2))
        },
      )
    }, afterMs)
    this.timers.add(timer)
  }

  async stop(): Promise<void> {
    this.isStopping = true
    for (const timer of this.timers) clearTimeout(timer)
    const ends = [...this.running].map((worker) => {
      const gone = new Promise<void>((done) => worker.once('exit', () => done()))
      worker.process.kill('SIGTERM')
      return gone
    })
    await Promise.all(ends)
  }
}
