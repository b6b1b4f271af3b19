import { PgError } from '../../errors/pg-error.ts'

/** Errors of the data, in the words and with the CONTEXT of Postgres. */
export const badCopy = (message: string, where?: string, hint?: string): PgError =>
  new PgError({ severity: 'ERROR', code: '22P04', message, where, hint })

export const rowTooLong = (rowBytesMax: number, where: string): PgError =>
  new PgError({
    severity: 'ERROR',
    code: '54000',
    message: `a row of COPY data is longer than ${rowBytesMax} bytes`,
    where,
  })

export const lineContext = (table: string, line: number): string => `COPY ${table}, line ${line}`

/** Postgres prints up to 100 bytes of the offending line. */
export function rowContext(table: string, line: number, row: Buffer): string {
  const max = 100
  const text = row.length <= max ? row.toString('utf8') : `${cut(row, max)}...`
  return `${lineContext(table, line)}: "${text}"`
}

/** At most `max` bytes, without the beginning of a character at the end. */
function cut(row: Buffer, max: number): string {
  let end = max
  while (end > 0 && (row[end]! & 0xc0) === 0x80) end--
  return row.toString('utf8', 0, end)
}

/** CONTEXT of the row that was one too many, by what Postgres said when it left it out. */
export function limitedContext(table: string, line: number, notice: string): string {
  const [, column, value] = /"([^"]*)": (?:"(.*)"|null input)$/s.exec(notice) ?? []
  const where = lineContext(table, line)
  if (column === undefined) return where
  return `${where}, column ${column}: ${value === undefined ? 'null input' : `"${value}"`}`
}
