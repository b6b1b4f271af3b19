import type { DefElem } from '@pgsql/types'
import { as, type Node, strings } from '../../parse/ast.ts'
import { defElems, optionFlag, optionText } from './options.ts'
import { pgError, unsupported } from './plans.ts'
import { quoteLiteral, quoteName } from './text.ts'

export interface CopyOptions {
  readonly format: 'text' | 'csv' | 'binary'
  readonly delimiter: string
  readonly nullText: string
  readonly quote: string
  readonly escape: string
  readonly header: 'none' | 'yes' | 'match'
  /** Columns named; `*` names all of the data's. */
  readonly forceNull: readonly string[]
  readonly forceNotNull: readonly string[]
  /** `WITH (…)` to repeat towards the shards: all but HEADER, which the coordinator reads or writes itself. */
  readonly sql: string
}

/** What the coordinator cannot do when it splits the data itself. */
const REFUSED: Readonly<Record<string, string>> = {
  freeze: 'Leave FREEZE out.',
  default: 'Leave the columns out of the column list, or load into a local table first.',
  reject_limit: 'Load into a local table first and INSERT … SELECT from there.',
  on_error: 'Load into a local table first and INSERT … SELECT from there.',
  log_verbosity: 'Leave LOG_VERBOSITY out.',
}

/** Reads the options of a COPY that the coordinator takes apart. What is wrong in a value Postgres says itself. */
export function copyOptions(
  list: readonly Node[] | undefined,
  direction: 'in' | 'out',
  columns: readonly string[],
): CopyOptions {
  const seen = new Map<string, DefElem>()
  for (const option of defElems(list)) {
    const name = option.defname ?? ''
    if (seen.has(name)) throw pgError('42601', 'conflicting or redundant options')
    seen.set(name, option)
  }
  const text = (name: string): string | undefined => {
    const option = seen.get(name)
    return option === undefined ? undefined : (optionText(option) ?? '')
  }
  refuseOptions(seen)
  const format = formatOf(text('format'))
  const header = headerOf(seen.get('header'), format, direction)
  const csv = format === 'csv'
  const quote = text('quote') ?? '"'
  return {
    format,
    delimiter: text('delimiter') ?? (csv ? ',' : '\t'),
    nullText: text('null') ?? (csv ? '' : '\\N'),
    quote,
    escape: text('escape') ?? quote,
    header,
    forceNull: columnsOf(seen.get('force_null'), columns),
    forceNotNull: columnsOf(seen.get('force_not_null'), columns),
    sql: optionsSql(seen, columns),
  }
}

function refuseOptions(options: ReadonlyMap<string, DefElem>): void {
  for (const [name, option] of options) {
    const hint = REFUSED[name]
    if (hint === undefined || isHarmless(name, option)) continue
    throw unsupported(
      'copy',
      `COPY option ${name.toUpperCase()} is not supported for sharded and reference tables`,
      hint,
    )
  }
  const encoding = options.get('encoding')
  const name = encoding === undefined ? undefined : optionText(encoding)
  if (name !== undefined && !/^(utf[-_]?8|unicode)$/i.test(name)) {
    throw unsupported(
      'copy',
      `COPY with ENCODING ${name} is not supported for sharded and reference tables`,
      'Convert the data to UTF8.',
    )
  }
}

/** Says what is so anyway. */
function isHarmless(name: string, option: DefElem): boolean {
  if (name === 'on_error') return optionText(option)?.toLowerCase() === 'stop'
  if (name === 'freeze') return optionFlag(option) === false
  return name === 'log_verbosity' && optionText(option)?.toLowerCase() === 'default'
}

function formatOf(name: string | undefined): CopyOptions['format'] {
  switch (name) {
    case undefined:
    case 'text':
      return 'text'
    case 'csv':
    case 'binary':
      return name
    default:
      throw pgError('22023', `COPY format "${name}" not recognized`)
  }
}

function headerOf(
  option: DefElem | undefined,
  format: CopyOptions['format'],
  direction: 'in' | 'out',
): CopyOptions['header'] {
  if (option === undefined) return 'none'
  const flag = optionFlag(option)
  const matches = flag === undefined && optionText(option)?.toLowerCase() === 'match'
  if (flag === undefined && !matches) {
    throw pgError('42601', 'header requires a Boolean value or "match"')
  }
  if (flag === false) return 'none'
  if (format === 'binary') throw pgError('0A000', 'cannot specify HEADER in BINARY mode')
  if (matches && direction === 'out') throw pgError('0A000', 'cannot use "match" with HEADER in COPY TO')
  return matches ? 'match' : 'yes'
}

/** `*` is spelt out: older Postgres lacks it, and columns that are filled in must not be meant. */
function columnsOf(option: DefElem | undefined, all: readonly string[]): readonly string[] {
  if (option === undefined) return []
  if (as(option.arg, 'A_Star')) return all
  return strings(as(option.arg, 'List')?.items)
}

const COLUMN_LISTS = new Set(['force_quote', 'force_null', 'force_not_null'])
const NOT_REPEATED = new Set(['header', 'on_error', 'freeze', 'log_verbosity', 'encoding'])

/** Every option in the one syntax that all versions take, whichever it was written in. */
function optionsSql(options: ReadonlyMap<string, DefElem>, all: readonly string[]): string {
  const parts: string[] = []
  for (const [name, option] of options) {
    if (NOT_REPEATED.has(name)) continue
    // Postgres rejects names it does not know; they must not get there unquoted.
    const word = /^[a-z_]+$/.test(name) ? name.toUpperCase() : quoteName(name)
    if (COLUMN_LISTS.has(name)) {
      parts.push(`${word} (${columnsOf(option, all).map(quoteName).join(', ')})`)
    } else {
      const value = optionText(option)
      parts.push(value === undefined ? word : `${word} ${quoteLiteral(value)}`)
    }
  }
  return parts.length === 0 ? '' : `WITH (${parts.join(', ')})`
}
