import type { Relation } from '../../../sql/catalog.ts'
import type { MemoryAccount } from '../../memory/memory-budget.ts'

/** What an UPDATE of the shard key makes of a row: hashes of its keys. */
export interface KeyChange {
  readonly was: string
  readonly is: string
  /** To another shard. */
  readonly leaves: boolean
}

/** Keys that the row of a key has had in this transaction. */
interface Past {
  /** Where it left: who waits for it there by that key finds it deleted. */
  readonly gone: ReadonlySet<string>
  /** On the shard where it is: who waits for it follows it. */
  readonly here: ReadonlySet<string>
}

interface Table {
  readonly pasts: Map<string, Past>
  /** Shards that rows have left. */
  readonly left: Set<number>
  /** Keys may have been changed in place by statements that ran as they were written. */
  isUnsure: boolean
}

const NONE: Past = { gone: new Set(), here: new Set() }
/** Of a change in memory, roughly. */
const CHANGE_BYTES = 256

/**
 * Keys by which rows of a transaction were found before they moved. A row that comes back to one would be another row there
 * than the one that was deleted, and who waits for that one would miss it: so it must not
 * (docs/decisions/0037-rows-that-move.md).
 */
export class MovedKeys {
  private readonly tables = new Map<number, Table>()
  private readonly account: MemoryAccount

  constructor(account: MemoryAccount) {
    this.account = account
  }

  /** `to`: its shard then. */
  comesBack(relation: Relation, { was, is, leaves }: KeyChange, to: number): boolean {
    const table = this.tables.get(numberOf(relation))
    if (table === undefined) return false
    return table.pasts.get(was)?.gone.has(is) === true || (leaves && table.isUnsure && table.left.has(to))
  }

  /** Of one statement, which sees none of them. `left`: shards that rows left. */
  note(relation: Relation, changes: readonly KeyChange[], left: readonly number[]): void {
    this.account.add(changes.length * CHANGE_BYTES)
    const table = this.tableOf(relation)
    const pasts = changes.map(({ was }) => table.pasts.get(was) ?? NONE)
    for (const [i, { was, is, leaves }] of changes.entries()) {
      const [{ gone, here }, other = NONE] = [pasts[i]!, table.pasts.get(is)]
      const chain = [...here, was]
      table.pasts.set(is, {
        gone: new Set([...other.gone, ...gone, ...(leaves ? chain : [])]),
        here: new Set([...other.here, ...(leaves ? [] : chain)]),
      })
    }
    for (const shard of left) table.left.add(shard)
  }

  changedInPlace(relation: Relation): void {
    this.tableOf(relation).isUnsure = true
  }

  release(): void {
    this.account.set(0)
  }

  private tableOf(relation: Relation): Table {
    const number = numberOf(relation)
    const table = this.tables.get(number) ?? { pasts: new Map(), left: new Set(), isUnsure: false }
    this.tables.set(number, table)
    return table
  }
}

/** Rows of a partition are those of the whole. */
const numberOf = ({ oid, root }: Relation): number => root ?? oid
