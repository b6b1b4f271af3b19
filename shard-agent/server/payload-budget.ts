/**
 * What coordinators have sent to be run and what is not through: it waits for a fence, for a backend, for Postgres to take
 * it. Everything else that an agent keeps for a session is a stream with an end to it (README.md).
 */
import { memoryOfMachine } from '../../cluster/machine-memory.ts'
import { weftError } from '../../errors/catalog.ts'
import type { PgError } from '../../errors/pg-error.ts'

/** What is less is not counted: there are as many as there are sessions. */
const COUNTED_BYTES_MIN = 16 * 1024
const MACHINE_SHARE = 8

export class PayloadBudget {
  used = 0
  private readonly bytesMax: number

  constructor(bytesMax = Math.floor(memoryOfMachine() / MACHINE_SHARE)) {
    this.bytesMax = bytesMax
  }

  /** How much of it is to be given back; why it cannot be kept. */
  take(bytes: number): number | PgError {
    if (bytes < COUNTED_BYTES_MIN) return 0
    if (this.used + bytes > this.bytesMax)
      return weftError('out_of_memory', {
        what: `Failed on a statement of ${bytes} bytes: this shard's agent has ${this.used} of ${this.bytesMax} bytes that statements under way may have here.`,
        hint: 'Try again when others have ended, or send less at a time.',
      })
    this.used += bytes
    return bytes
  }

  give(bytes: number): void {
    this.used -= bytes
  }
}
