import { createHash, randomBytes } from 'node:crypto'
import type { StatementRef } from '../../../protocol/agent-link.ts'
import { parse } from '../../../protocol/wire/frontend-messages.ts'
import { LONG_TEXT_BYTES } from './parse-turns.ts'
import type { PlanScope } from './planner.ts'

/** Beside the texts: entries of the map. */
const ENTRY_BYTES = 200

/** Content-derived names of prepared statements, given from a text's second use on. Bounded, oldest out first. */
export class StatementRefs {
  private readonly entriesMax: number
  private readonly bytesMax: number
  private readonly salt = randomBytes(8).toString('hex')
  private readonly byText = new Map<string, StatementRef | null>()
  /** Of the keys, and of the messages of those that have a name. */
  bytes = 0

  constructor(limits: { readonly entriesMax: number; readonly textBytesMax: number }) {
    this.entriesMax = limits.entriesMax
    this.bytesMax = limits.textBytesMax
  }

  /** Undefined too for long texts: they would fill the backends. */
  get(scope: PlanScope, sql: Buffer, paramTypes: readonly number[], epoch: number): StatementRef | undefined {
    if (scope.cache === undefined || sql.length > LONG_TEXT_BYTES) return undefined
    const types = paramTypes.length === 0 ? '' : paramTypes.join(',')
    // A backend keeps what a name meant when it was prepared: a new version of the catalog needs a new one, and so does a
    // schema that changed without it (`CoordinatorNode.schema`, which every node counts for itself).
    const state = `${scope.key}\u0000${scope.catalog.version}\u0000${this.salt}\u0000${epoch}`
    const key = `${sql.toString('latin1')}\u0000${types}\u0000${state}`
    const known = this.byText.get(key)
    if (known === undefined) {
      this.put(key, null)
      return undefined
    }
    if (known !== null) return known
    const hash = createHash('sha256').update(key).digest('base64url').slice(0, 22)
    const name = `weft_${scope.catalog.version}_${hash}`
    const ref: StatementRef = { name, parse: parse(name, sql, paramTypes) }
    this.put(key, ref)
    return ref
  }

  private put(key: string, ref: StatementRef | null): void {
    this.drop(key)
    this.byText.set(key, ref)
    this.bytes += bytesOf(key, ref)
    for (const oldest of this.byText.keys()) {
      if (this.byText.size <= this.entriesMax && this.bytes <= this.bytesMax) return
      if (oldest !== key) this.drop(oldest)
    }
  }

  private drop(key: string): void {
    const ref = this.byText.get(key)
    if (ref === undefined) return
    this.byText.delete(key)
    this.bytes -= bytesOf(key, ref)
  }
}

function bytesOf(key: string, ref: StatementRef | null): number {
  return ENTRY_BYTES + key.length + (ref?.parse.length ?? 0)
}
