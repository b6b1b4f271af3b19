import { Raised } from '../errors/errors.ts'
import type { Compiled } from '../sql/fragment.ts'
import type { FieldDescription, WireConnection } from '../wire/connection.ts'
import { Exchange } from '../wire/exchange.ts'
import { RowReader, type TypeParsers } from '../wire/rows.ts'

/** A statement of a transaction whose rows are taken in batches. */
export interface Portal {
  readonly name: string
  readonly statement: Compiled
  readonly types: TypeParsers
  reader: RowReader | undefined
}

export interface Batch<Row> {
  readonly rows: readonly Row[]
  readonly isLast: boolean
}

/** The next rows of a portal; the first time it is made. */
export class Fetch<Row extends object> extends Exchange<Batch<Row>> {
  readonly text: string
  readonly #portal: Portal
  readonly #max: number
  readonly #isFirst: boolean
  readonly #rows: Row[] = []
  #isLast = true

  constructor(portal: Portal, max: number, isFirst: boolean) {
    super()
    this.text = portal.statement.text
    this.#portal = portal
    this.#max = max
    this.#isFirst = isFirst
  }

  submit(connection: WireConnection): void {
    const { name, statement } = this.#portal
    connection.stream.cork()
    if (this.#isFirst) {
      connection.parse({ text: statement.text, name: '' })
      connection.bind({ portal: name, statement: '', values: statement.values })
      connection.describe({ type: 'P', name })
    }
    connection.execute({ portal: name, rows: this.#max })
    connection.sync()
    connection.stream.uncork()
  }

  override handleRowDescription(message: { readonly fields: readonly FieldDescription[] }): void {
    this.#portal.reader = new RowReader(message.fields, this.#portal.types)
  }

  override handleDataRow(message: { readonly fields: readonly (string | null)[] }): void {
    if (this.failed || this.#portal.reader === undefined) return
    try {
      this.#rows.push(this.#portal.reader.read(message.fields) as Row)
    } catch (error) {
      this.fail(new Raised(error))
    }
  }

  override handlePortalSuspended(): void {
    this.#isLast = false
  }

  protected result(): Batch<Row> {
    return { rows: this.#rows, isLast: this.#isLast }
  }
}

/** The end of a portal that was not read to its end. */
export class ClosePortal extends Exchange<void> {
  readonly text = ''
  readonly #portal: string

  constructor(portal: string) {
    super()
    this.#portal = portal
  }

  submit(connection: WireConnection): void {
    connection.stream.cork()
    connection.close({ type: 'P', name: this.#portal })
    connection.sync()
    connection.stream.uncork()
  }

  protected result(): void {}
}
