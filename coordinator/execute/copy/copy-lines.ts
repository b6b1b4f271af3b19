import { PgError } from '../../../errors/pg-error.ts'

/** Rows a shard may lag behind what was sent to it, at most, for its line numbers to be translated. */
const LINES_MAX = 1 << 18

/** Which line of the client's data each line sent to one shard was; the last LINES_MAX of them. */
export class CopyLines {
  /** A row as the client wrote it, of one that a shard quotes. */
  written: (row: string) => string = (row) => row
  private lines = new Uint32Array(1024)
  private count = 0

  /** A row that Postgres counts as `lineCount` lines and that ends on line `clientLine` of the client's data. */
  add(clientLine: number, lineCount: number): void {
    for (let i = 0; i < lineCount; i++) {
      if (this.count >= this.lines.length && this.lines.length < LINES_MAX) this.grow()
      this.lines[this.count++ & (this.lines.length - 1)] = clientLine
    }
  }

  get isEmpty(): boolean {
    return this.count === 0
  }

  /** The shard's next COPY counts from one again. */
  reset(): void {
    this.count = 0
  }

  lookup(shardLine: number): number | undefined {
    if (shardLine < 1 || shardLine > this.count || this.count - shardLine >= this.lines.length)
      return undefined
    return this.lines[(shardLine - 1) & (this.lines.length - 1)]
  }

  private grow(): void {
    const larger = new Uint32Array(this.lines.length * 2)
    larger.set(this.lines)
    this.lines = larger
  }
}

/** A shard's error with the line number that the client can find: its own data's. */
export function withClientLine(error: unknown, lines: CopyLines): unknown {
  if (!(error instanceof PgError) || error.fields.where === undefined) return error
  const { where } = atClientLine(error.fields.where, lines)
  return new PgError({ ...error.fields, where }, { cause: error })
}

/** The row may have line breaks; what stands around it in a CONTEXT comes on lines of its own. */
const LINE = /^(COPY .*?, line )(\d+)(?:: "([\s\S]*?)"$)?/m

/** The number in a CONTEXT of the row that it is about. */
export function lineIn(where = ''): number | undefined {
  const line = LINE.exec(where)?.[2]
  return line === undefined ? undefined : Number(line)
}

/** A CONTEXT with the line of the client's data in it, the row as the client wrote it, and that line, if it has one. */
export function atClientLine(where: string, lines: CopyLines): { where: string; line?: number } {
  let line: number | undefined
  const said = where.replace(LINE, (all, before: string, shardLine: string, row: string | undefined) => {
    line = lines.lookup(Number(shardLine))
    if (line === undefined) return all
    return `${before}${line}${row === undefined ? '' : `: "${lines.written(row)}"`}`
  })
  return line === undefined ? { where: said } : { where: said, line }
}
