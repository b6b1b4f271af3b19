/**
 * Long texts are parsed and planned by a thread of their own: whoever sends them waits for it, and nobody else does
 * (docs/decisions/0036-long-texts.md). One text at a time, in the order in which they come.
 */
import { getHeapStatistics } from 'node:v8'
import { Worker } from 'node:worker_threads'
import { weftError } from '../../errors/catalog.ts'
import type { Catalog } from '../../sql/catalog.ts'
import type { Plan } from '../../sql/plan/plan.ts'
import { partsOf } from '../catalog/catalog-value.ts'
import { type LongTexts, NoThread } from '../execute/plans/long-texts.ts'
import type { PlanScope } from '../execute/plans/planner.ts'
import { type Answer, arrivedError, arrivedPlan, type Request, type StatementPlace } from './requests.ts'

/** So long nobody needs it: its memory is given back. */
const IDLE_MS = 30_000
/** After a text of this length it has grown; a new one is made for the next. */
const GROWN_LENGTH = 1 << 20
const MB = 1 << 20
/** Of the node's own heap limit. */
const HEAP_SHARE = 0.5

interface Job {
  readonly text: string
  /** Made when its turn comes: what the thread knows depends on what was asked before. */
  readonly request: () => Request
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: Error) => void
}

export class TextThread implements LongTexts {
  private readonly program: URL
  private readonly queue: Job[] = []
  private worker: Worker | undefined
  private current: Job | undefined
  private isUp = false
  /** It did not start. */
  private isBroken = false
  private idle: NodeJS.Timeout | undefined
  private catalogs = 0
  private known: Catalog | undefined
  private longest = 0
  /** How many texts it has taken. */
  taken = 0

  constructor(program: URL) {
    this.program = program
  }

  canPlan({ catalog }: PlanScope): boolean {
    return !this.isBroken && partsOf(catalog) !== undefined
  }

  async split(text: string): Promise<readonly StatementPlace[]> {
    const answer = await this.ask(text, () => ({ kind: 'split', text }))
    return answer.kind === 'places' ? answer.places : []
  }

  async plan(text: string, scope: PlanScope, paramTypes: readonly number[]): Promise<Plan> {
    const answer = await this.ask(text, () => this.planRequest(text, scope, paramTypes))
    if (answer.kind !== 'plan') throw new NoThread()
    return arrivedPlan(answer.plan, answer.apart)
  }

  private planRequest(text: string, scope: PlanScope, paramTypes: readonly number[]): Request {
    const { catalog, cache: _, ...under } = scope
    const isNew = this.known !== catalog
    if (isNew) this.catalogs++
    this.known = catalog
    const parts = isNew ? partsOf(catalog) : undefined
    return { kind: 'plan', text, paramTypes, under, catalog: this.catalogs, parts }
  }

  private ask(text: string, request: () => Request): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.queue.push({ text, request, resolve, reject })
      this.next()
    })
  }

  private next(): void {
    if (this.current !== undefined || this.queue.length === 0) return
    clearTimeout(this.idle)
    this.worker ??= this.start()
    if (!this.isUp) return
    const job = this.queue.shift()!
    this.current = job
    this.taken++
    this.longest = Math.max(this.longest, job.text.length)
    this.worker.postMessage(job.request())
  }

  private start(): Worker {
    const heapMb = Math.ceil((getHeapStatistics().heap_size_limit * HEAP_SHARE) / MB)
    const worker = new Worker(this.program, { resourceLimits: { maxOldGenerationSizeMb: heapMb } })
    worker.once('message', (build: unknown) => {
      if (build !== process.env.WEFT_BUILD) return this.lost(worker, new NoThread())
      this.isUp = true
      worker.on('message', (answer: Answer) => this.answered(answer))
      this.next()
    })
    worker.on('error', (error) => this.lost(worker, causeOf(error)))
    worker.on('exit', () => this.lost(worker, new NoThread()))
    worker.unref()
    return worker
  }

  private answered(answer: Answer): void {
    const job = this.current
    this.current = undefined
    if (answer.kind === 'error') job?.reject(arrivedError(answer.error, job.text))
    else job?.resolve(answer)
    if (this.queue.length > 0) return this.next()
    if (this.longest >= GROWN_LENGTH) return this.stop()
    this.idle = setTimeout(() => this.stop(), IDLE_MS)
    this.idle.unref()
  }

  /** Without it whoever waits for it is told why; the others get a new one. */
  private lost(worker: Worker, error: Error): void {
    if (worker !== this.worker) return
    this.isBroken = !this.isUp
    const waiting = [this.current, ...(this.isUp ? [] : this.queue.splice(0))]
    this.stop()
    for (const job of waiting) job?.reject(error)
    this.next()
  }

  stop(): void {
    clearTimeout(this.idle)
    const { worker } = this
    this.worker = undefined
    this.isUp = false
    this.current = undefined
    this.known = undefined
    this.longest = 0
    void worker?.terminate()
  }
}

function causeOf(error: Error): Error {
  const isMemory = (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY'
  return isMemory ? weftError('out_of_memory', { what: TOO_LARGE }, error) : new NoThread(error)
}

const TOO_LARGE = 'The statement is too large to be planned.'
