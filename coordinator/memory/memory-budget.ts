/**
 * What this node keeps for its clients, in bytes: settings, prepared statements, portals, large messages, notifications
 * that wait. Whoever keeps something says so before; over a limit the client is refused with 53200, and everybody else
 * goes on.
 */
import { getHeapStatistics } from 'node:v8'
import { memoryOfMachine } from '../../cluster/machine-memory.ts'
import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'

export interface MemoryLimits {
  /** All sessions together. */
  readonly nodeBytes: number
  readonly sessionBytes: number
}

const NODE_SHARE = 8
/** A text that is kept may be on the heap, and so may two more forms of it while it is dealt with. */
const HEAP_SHARE = 3
const SESSION_SHARE = 4
const SESSION_BYTES_LEAST = 16 << 20

/**
 * An eighth of what the machine, or the container, has, and no more than the heap of this process takes; a session may
 * have a quarter of that.
 */
export function defaultMemoryLimits(machineBytes = memoryOfMachine(), heapBytes = heapMax()): MemoryLimits {
  return memoryLimitsOf(Math.floor(Math.min(machineBytes / NODE_SHARE, heapBytes / HEAP_SHARE)))
}

/** Whether what clients may make this node keep fits into its heap, which is fixed when the process starts. */
export function fitsHeap({ nodeBytes }: MemoryLimits, heapBytes = heapMax()): boolean {
  return nodeBytes <= heapBytes / HEAP_SHARE
}

function heapMax(): number {
  return getHeapStatistics().heap_size_limit
}

export function memoryLimitsOf(nodeBytes: number): MemoryLimits {
  return { nodeBytes, sessionBytes: Math.max(Math.floor(nodeBytes / SESSION_SHARE), SESSION_BYTES_LEAST) }
}

export class MemoryBudget {
  readonly limits: MemoryLimits
  used = 0
  /** How often somebody was told that there is no more. */
  refusals = 0

  constructor(limits: MemoryLimits = defaultMemoryLimits()) {
    this.limits = limits
  }

  session(): SessionMemory {
    return new SessionMemory(this)
  }
}

/** One session's share. */
export class SessionMemory {
  used = 0
  private readonly budget: MemoryBudget
  private isClosed = false

  constructor(budget: MemoryBudget) {
    this.budget = budget
  }

  account(what: string): MemoryAccount {
    return new MemoryAccount(this, what)
  }

  /** Throws 53200 rather than going over a limit. Giving back always succeeds. */
  change(what: string, bytes: number): void {
    if (this.isClosed) return
    if (bytes > 0) this.check(what, bytes)
    this.used += bytes
    this.budget.used += bytes
  }

  private check(what: string, bytes: number): void {
    const { budget } = this
    const { nodeBytes, sessionBytes } = budget.limits
    const ofSession = this.used + bytes > sessionBytes
    if (!ofSession && budget.used + bytes <= nodeBytes) return
    budget.refusals++
    throw weftError('out_of_memory', {
      what: ofSession
        ? `Failed on ${bytes} bytes of ${what}: the session keeps ${this.used} of ${sessionBytes} bytes that it may have here (coordinator.memory.sessionMb).`
        : `Failed on ${bytes} bytes of ${what}: the sessions of this Weft node keep ${budget.used} of ${nodeBytes} bytes (coordinator.memory.nodeMb).`,
      hint: ofSession
        ? 'Close prepared statements, end the transaction or reset settings that are not needed any more.'
        : 'Try again when other sessions have ended, or use another coordinator.',
    })
  }

  /** The session is over, and with it all that was kept for it. */
  close(): void {
    this.budget.used -= this.used
    this.used = 0
    this.isClosed = true
  }
}

/** What a session keeps of one kind. */
export class MemoryAccount {
  bytes = 0
  private readonly memory: SessionMemory
  private readonly what: string

  constructor(memory: SessionMemory, what: string) {
    this.memory = memory
    this.what = what
  }

  /** Throws 53200, and changes nothing then. */
  add(bytes: number): void {
    this.memory.change(this.what, bytes)
    this.bytes += bytes
  }

  /** The same for who cannot throw where he is: why there is no room; undefined: there is. */
  offer(bytes: number): PgError | undefined {
    try {
      this.add(bytes)
      return undefined
    } catch (error) {
      if (error instanceof PgError) return error
      throw error
    }
  }

  sub(bytes: number): void {
    this.add(-bytes)
  }

  /** Throws 53200 when it is more than before and there is no room, and changes nothing then. */
  set(bytes: number): void {
    if (bytes !== this.bytes) this.add(bytes - this.bytes)
  }
}
