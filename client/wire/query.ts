import { Raised } from '../errors/errors.ts'
import type { Compiled } from '../sql/fragment.ts'
import type { FieldDescription, WireConnection } from './connection.ts'
import { Exchange } from './exchange.ts'
import { RowReader, type TypeParsers } from './rows.ts'

/** What a statement gave. */
export interface Result<Row extends object> {
  readonly rows: readonly Row[]
  /** Rows that it returned or changed; 0 for statements that count none. */
  readonly count: number
  /** First word or words of its tag: `SELECT`, `INSERT`, `CREATE TABLE`. */
  readonly command: string
}

/** One statement in the extended protocol, which runs no second one behind a semicolon. */
export class Query<Row extends object> extends Exchange<Result<Row>> {
  readonly text: string
  override readonly name: string
  readonly #values: Compiled['values']
  readonly #types: TypeParsers
  readonly #rows: Row[] = []
  #reader: RowReader | undefined
  #tag = ''
  readonly #asArrays: boolean

  constructor({ text, values }: Compiled, types: TypeParsers, name = '', asArrays = false) {
    super()
    this.#asArrays = asArrays
    this.text = text
    this.name = name
    this.#values = values
    this.#types = types
  }

  submit(connection: WireConnection): void {
    const { text, name } = this
    connection.stream.cork()
    if (name === '' || connection.parsedStatements[name] === undefined) connection.parse({ text, name })
    connection.bind({ portal: '', statement: name, values: this.#values })
    connection.describe({ type: 'P', name: '' })
    connection.execute({ portal: '', rows: 0 })
    connection.sync()
    connection.stream.uncork()
  }

  override handleRowDescription(message: { readonly fields: readonly FieldDescription[] }): void {
    this.#reader = new RowReader(message.fields, this.#types)
  }

  override handleDataRow(message: { readonly fields: readonly (string | null)[] }): void {
    if (this.failed || this.#reader === undefined) return
    try {
      const row = this.#asArrays ? this.#reader.readArray(message.fields) : this.#reader.read(message.fields)
      this.#rows.push(row as Row)
    } catch (error) {
      this.fail(new Raised(error))
    }
  }

  override handleCommandComplete(message: { readonly text: string }): void {
    this.#tag = message.text
  }

  protected result(): Result<Row> {
    return { rows: this.#rows, ...readTag(this.#tag) }
  }
}

/** `INSERT 0 5` counts 5, `SELECT 3` counts 3, `CREATE TABLE` none. */
export function readTag(tag: string): { command: string; count: number } {
  const [, command = '', count] = /^([A-Z ]*?)(?: \d+)?(?: (\d+))?$/.exec(tag) ?? []
  return { command, count: count === undefined ? Number(/ (\d+)$/.exec(tag)?.[1] ?? 0) : Number(count) }
}
