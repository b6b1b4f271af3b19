import { setTimeout as sleep } from 'node:timers/promises'
import type { Op } from '../history/op.ts'
import type { Asker, Task, Workload } from '../workloads/workload.ts'
import { Random } from './random.ts'
import type { Recorder } from './recorder.ts'
import { errorOf, Session } from './session.ts'

export interface Endpoint {
  readonly name: string
  readonly url: string
}

export interface ClientsOptions {
  readonly endpoints: readonly Endpoint[]
  readonly concurrency: number
  /** Operations a second, of all clients together. */
  readonly rate: number
  readonly seed: number
  readonly settings: readonly string[]
  readonly timeoutMs: number
}

/** Between tries of a client that cannot connect. */
const RECONNECT_MS = 400

/** A shard cannot be reached: to ask again at once tells nothing new. */
function isAway({ error }: Op): boolean {
  return error?.sqlstate?.startsWith('08') === true
}

/** All clients of a run, at one pace. */
export class Clients {
  private readonly options: ClientsOptions
  private readonly workload: Workload
  private readonly recorder: Recorder
  private readonly pace: Random
  private nextAt = performance.now()
  private processes = 0
  private isOver = false

  constructor(options: ClientsOptions, workload: Workload, recorder: Recorder) {
    this.options = options
    this.workload = workload
    this.recorder = recorder
    this.pace = new Random(options.seed)
  }

  /** Until `stop` is said and all operations have ended. */
  async run(): Promise<void> {
    const clients = Array.from({ length: this.options.concurrency }, (_, i) => this.client(i))
    await Promise.all(clients.map((client) => this.loop(client)))
  }

  stop(): void {
    this.isOver = true
  }

  /** The reads at the end, each until it is answered or the time is up. Resolves with how many were not. */
  async finals(timeoutMs: number): Promise<number> {
    const client = this.client(this.options.concurrency)
    const deadline = performance.now() + timeoutMs
    let missing = 0
    for (const task of this.workload.finals()) {
      let op = await client.perform(task)
      while (op.type !== 'ok' && performance.now() < deadline) {
        await sleep(RECONNECT_MS)
        op = await client.perform(task)
      }
      if (op.type !== 'ok') missing++
    }
    client.close()
    return missing
  }

  private client(number: number): Client {
    return new Client(number, this.options, this.workload, this.recorder, () => this.processes++)
  }

  private async loop(client: Client): Promise<void> {
    for (;;) {
      await sleep(this.turn())
      if (this.isOver) break
      const op = await client.step()
      if (op.type !== 'ok' && (client.isLost || isAway(op))) await sleep(RECONNECT_MS)
    }
    client.close()
  }

  /** Milliseconds until the next operation is due. Who is late does not hurry to catch up. */
  private turn(): number {
    const now = performance.now()
    this.nextAt = Math.max(this.nextAt, now - 200) + (this.pace.next() * 2000) / this.options.rate
    return Math.max(0, this.nextAt - now)
  }
}

/** One client: at any time one process with one session at each coordinator that it asks. */
class Client {
  private readonly number: number
  private readonly options: ClientsOptions
  private readonly workload: Workload
  private readonly recorder: Recorder
  private readonly random: Random
  private readonly newProcess: () => number
  private readonly sessions = new Map<number, Session>()
  private process: number
  isLost = false

  constructor(
    number: number,
    options: ClientsOptions,
    workload: Workload,
    recorder: Recorder,
    newProcess: () => number,
  ) {
    this.number = number
    this.options = options
    this.workload = workload
    this.recorder = recorder
    this.newProcess = newProcess
    this.random = new Random(options.seed * 1000 + number)
    this.process = newProcess()
  }

  private get asker(): Asker {
    return { random: this.random, client: this.number, process: this.process }
  }

  step(): Promise<Op> {
    return this.perform(this.workload.next(this.asker))
  }

  async perform(task: Task): Promise<Op> {
    const { workload, recorder, asker } = this
    const session = this.session(workload.nodeOf?.(task, asker) ?? this.number)
    const { f, value, final, statements } = task
    const common = {
      ...{ process: this.process, f, node: session.node },
      ...(final === undefined ? {} : { final }),
      ...(statements === undefined ? {} : { statements }),
    }
    recorder.add({ ...common, type: 'invoke', value })
    this.isLost = false
    let op: Op
    try {
      const result = await session.during(() => workload.perform(session, task, asker))
      op = recorder.add({ ...common, type: 'ok', value: result })
    } catch (error) {
      const type = session.outcomeOf(error)
      op = recorder.add({ ...common, type, value, error: errorOf(error) })
      // A process is a session: what a new connection knows of the old one's past is nothing.
      if (type === 'info' || session.isLost) this.renew()
    }
    workload.heard?.(op, asker)
    return op
  }

  private renew(): void {
    this.close()
    this.isLost = true
    this.process = this.newProcess()
  }

  private session(node: number): Session {
    const { endpoints, settings, timeoutMs } = this.options
    const at = node % endpoints.length
    const session = this.sessions.get(at)
    if (session !== undefined) return session
    const { name, url } = endpoints[at] as Endpoint
    const made = new Session({ node: name, url, settings, timeoutMs })
    this.sessions.set(at, made)
    return made
  }

  close(): void {
    for (const session of this.sessions.values()) session.close()
    this.sessions.clear()
  }
}
