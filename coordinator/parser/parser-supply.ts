/**
 * Instances of the parser that are thrown away: the memory of one that had a large text never shrinks, and one that
 * ran out of stack has lost what it had allocated, and its own stack with it.
 */
import { createRequire } from 'node:module'
import { hasSqlDetails, SqlError } from 'libpg-query'
import { weftError } from '../../errors/catalog.ts'
import { type Parser, ParserInstance, type ParserModule } from '../../sql/parse/parser.ts'

const require = createRequire(import.meta.url)

/** A fresh one has 128 MB, of which the system gives it what it touches. */
const BYTES_MAX = 192 << 20

export class ParserSupply implements Parser {
  private readonly make: () => Promise<ParserInstance>
  private readonly bytesMax: number
  private current: ParserInstance | undefined
  /** Takes over at once. */
  private spare: ParserInstance | undefined
  private making: Promise<void> | undefined
  /** Instances thrown away so far. */
  discarded = 0

  private constructor(make: () => Promise<ParserInstance>, bytesMax: number) {
    this.make = make
    this.bytesMax = bytesMax
  }

  static async open(make = newInstance, bytesMax = BYTES_MAX): Promise<ParserSupply> {
    const supply = new ParserSupply(make, bytesMax)
    supply.current = await make()
    await supply.refilled()
    return supply
  }

  parse(sql: string): ReturnType<Parser['parse']> {
    return this.on((instance) => instance.parse(sql))
  }

  scan(sql: string): ReturnType<Parser['scan']> {
    return this.on((instance) => instance.scan(sql))
  }

  /** Resolves when there is a spare one. */
  refilled(): Promise<void> {
    if (this.spare !== undefined) return Promise.resolve()
    this.making ??= this.refill()
    return this.making
  }

  private async refill(): Promise<void> {
    try {
      const made = await this.make()
      if (this.current === undefined) this.current = made
      else this.spare = made
    } finally {
      this.making = undefined
    }
    if (this.spare === undefined) await this.refilled()
  }

  private on<T>(work: (instance: ParserInstance) => T): T {
    const instance = this.current
    // Two were thrown away in one turn of the loop.
    if (instance === undefined) throw weftError('out_of_memory', { what: 'the parser is being replaced' })
    let isBroken = true
    try {
      const answer = work(instance)
      isBroken = false
      return answer
    } catch (error) {
      isBroken = !isSqlError(error)
      throw error
    } finally {
      if (isBroken || instance.bytes > this.bytesMax) this.discard()
    }
  }

  private discard(): void {
    this.discarded++
    this.current = this.spare
    this.spare = undefined
    // Without memory for another one this is tried again with the next text.
    this.refilled().catch(() => {})
  }
}

function isSqlError(error: unknown): boolean {
  return error instanceof SqlError || hasSqlDetails(error)
}

async function newInstance(): Promise<ParserInstance> {
  const factory = require('libpg-query/wasm/libpg-query.js') as () => Promise<ParserModule>
  return new ParserInstance(await factory())
}
