/**
 * What the coordinator has drawn from sequences for a session: defaults of sharded and reference tables. As soon as the
 * session draws by itself, on a backend, it is that backend that remembers, what the coordinator draws there too.
 */
import { SEQUENCES } from '../../../protocol/agent-link.ts'
import type { ShardLine } from '../shards/shard-line.ts'

/** A default that draws from one sequence and does nothing else; 1: the sequence, quoted as in a string. */
export const DRAWS = /^(?:weft\.identity_)?nextval\('((?:[^']|'')*)'::regclass\)$/

type Row = readonly (string | null)[]

export class DrawnValues {
  /** Lines on which the session has drawn by itself. */
  readonly lines = new Set<ShardLine>()
  /** By the sequence's oid. */
  private readonly values = new Map<string, string>()
  private last: string | null = null

  /** An exec with this mask goes to the line; as the agent is told. */
  on(line: ShardLine, mask: number): number {
    if ((mask & SEQUENCES.draws) !== 0) this.lines.add(line)
    return this.last === null ? mask : mask | SEQUENCES.drawnElsewhere
  }

  /** How an exec that draws these defaults counts. */
  maskFor(expressions: readonly string[]): number {
    const drawing = expressions.filter((expression) => /nextval/i.test(expression))
    if (drawing.length === 0) return 0
    const areKnown = this.lines.size === 0 && drawing.every((expression) => DRAWS.test(expression))
    return areKnown ? SEQUENCES.uses : SEQUENCES.draws
  }

  /** What else the exec is to ask for: the oids of the sequences. */
  oidsOf(expressions: readonly string[]): readonly string[] {
    return expressions.flatMap((expression) => {
      const sequence = DRAWS.exec(expression)?.[1]
      return sequence === undefined ? [] : [`'${sequence}'::regclass::oid`]
    })
  }

  /** The rows of an exec that counts as `uses`: values of the defaults, then the oids. */
  note(expressions: readonly string[], rows: readonly Row[]): void {
    const drawing = expressions.flatMap((expression, i) => (DRAWS.test(expression) ? [i] : []))
    for (const row of rows) {
      for (const [n, column] of drawing.entries()) {
        const value = row[column]
        if (value == null) continue
        this.values.set(row[expressions.length + n]!, value)
        this.last = value
      }
    }
  }

  forget(): void {
    this.lines.clear()
    this.values.clear()
    this.last = null
  }

  /** As `weft.lastval` and `weft.currval` take it. */
  json(): string {
    return JSON.stringify({ values: Object.fromEntries(this.values), last: this.last })
  }
}
