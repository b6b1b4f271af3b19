import { weftError } from '../../errors/catalog.ts'
import type { CopyFormat } from './copy-format.ts'

/** Widths of the types whose binary form is known here. */
const integerBytes: ReadonlyMap<number, number> = new Map([
  [21, 2],
  [23, 4],
  [20, 8],
  // date, timestamp, timestamptz: whoever adds them gives the number that they are
  [1082, 4],
  [1114, 8],
  [1184, 8],
])

/**
 * Values that are added at the end of a row of COPY data, each with what must stand before it. Texts are as Postgres
 * prints them; the binary format knows integers only.
 */
export function fieldWriter(
  format: CopyFormat,
  added: readonly { readonly column: string; readonly typeOid: number }[],
): (values: readonly (string | null)[]) => Buffer {
  if (format.format === 'binary') return binaryWriter(added)
  const field = format.format === 'csv' ? csvField : textField
  return (values) => Buffer.from(values.map((v) => format.delimiter + field(v, format)).join(''))
}

/** A row, in the text or csv format, without the last `count` of its fields, which `fieldWriter` has added. */
export function withoutAdded(row: string, format: CopyFormat, count: number): string {
  const d = quoted(format.delimiter)
  const [q, e] = [quoted(format.quote), quoted(format.escape)]
  const field =
    format.format === 'csv'
      ? `(?:${q}(?:${e}[^]|(?!${q})[^])*${q}|(?:(?!${d})[^])*)`
      : `(?:\\\\[^]|(?!${d})[^\\\\])*`
  return row.replace(new RegExp(`(?:${d}${field}){${count}}$`), '')
}

const quoted = (character: string): string => character.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')

const escapes: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\b': '\\b',
  '\f': '\\f',
  '\v': '\\v',
}

function textField(value: string | null, format: CopyFormat): string {
  if (value === null) return format.nullText
  const escaped = value.replace(/[\\\n\r\t\b\f\v]/g, (c) => escapes[c]!)
  // What was replaced holds letters; a delimiter cannot be one.
  const text = escaped.replaceAll(format.delimiter, (c) => (c === '\t' ? '\\t' : `\\${c}`))
  if (text !== format.nullText && text !== format.defaultText) return text
  // A value that reads like NULL, or a default: any escape makes it a value, if there is something to escape.
  if (text === '')
    throw weftError('not_supported', {
      id: 'copy',
      what: "COPY with NULL '' and a default that is empty",
    })
  return `\\x${hexOf(text)}${text.slice(1)}`
}

const hexOf = (text: string): string => text.charCodeAt(0).toString(16).padStart(2, '0')

function csvField(value: string | null, format: CopyFormat): string {
  if (value === null) return format.nullText
  const { quote } = format
  const escaped = [...value].map((c) => (c === quote || c === format.escape ? format.escape + c : c)).join('')
  return quote + escaped + quote
}

function binaryWriter(added: readonly { readonly column: string; readonly typeOid: number }[]) {
  const widths = added.map(({ column, typeOid }) => {
    const width = integerBytes.get(typeOid)
    if (width !== undefined) return width
    throw weftError('not_supported', {
      id: 'copy',
      what: `binary COPY without column "${column}": its default would have to be given in binary form`,
      hint: 'Put the column into the data, or use the text or csv format.',
    })
  })
  return (values: readonly (string | null)[]): Buffer =>
    Buffer.concat(values.map((value, i) => binaryField(value, widths[i]!)))
}

function binaryField(value: string | null, width: number): Buffer {
  const field = Buffer.alloc(4 + (value === null ? 0 : width))
  field.writeInt32BE(value === null ? -1 : width, 0)
  if (value === null) return field
  if (width === 8) field.writeBigInt64BE(BigInt(value), 4)
  else field.writeIntBE(Number(value), 4, width)
  return field
}
