import type { FieldDescription } from './connection.ts'

/** How a type's text becomes a value, by the type's number; `pg.types` is one. */
export interface TypeParsers {
  getTypeParser(oid: number, format?: 'text' | 'binary'): (text: string) => unknown
}

type Read = (text: string) => unknown

/** Rows of one description. Columns of one name: the last one counts, as with node-postgres. */
export class RowReader {
  readonly #columns: readonly { readonly name: string; readonly read: Read }[]

  constructor(fields: readonly FieldDescription[], types: TypeParsers) {
    this.#columns = fields.map(({ name, dataTypeID, format }) => ({
      name,
      read: types.getTypeParser(dataTypeID, format ?? 'text'),
    }))
  }

  /** In the order of the columns: of one name there may be several. */
  readArray(values: readonly (string | null)[]): unknown[] {
    return this.#columns.map(({ read }, i) => {
      const text = values[i] ?? null
      return text === null ? null : read(text)
    })
  }

  read(values: readonly (string | null)[]): object {
    // A column may be called `__proto__`.
    const row: Record<string, unknown> = {}
    this.#columns.forEach(({ name, read }, i) => {
      const text = values[i] ?? null
      const value = text === null ? null : read(text)
      if (name === '__proto__') Object.defineProperty(row, name, { value, enumerable: true })
      else row[name] = value
    })
    return row
  }
}
