import type { DefElem } from '@pgsql/types'
import type { CopySkips } from '../../copy/copy-format.ts'
import { encodingName } from '../../encoding-names.ts'
import { as, type Node, strings } from '../../parse/ast.ts'
import { defElems, optionFlag, optionText } from './options.ts'
import { pgError } from './plans.ts'
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
  readonly defaultText?: string
  readonly skips?: CopySkips
  /** Of the data, by Postgres' own name; absent: UTF8. */
  readonly encoding?: string
  /** `WITH (…)` to repeat towards the shards: all but HEADER, which the coordinator reads or writes itself. */
  readonly sql: string
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
  const format = formatOf(text('format'))
  const encoding = encodingOf(seen.get('encoding'), format)
  const header = headerOf(seen.get('header'), format, direction)
  const csv = format === 'csv'
  const quote = text('quote') ?? '"'
  const defaultText = direction === 'in' ? text('default') : undefined
  const skips = direction === 'in' ? skipsOf(text) : undefined
  return {
    format,
    delimiter: text('delimiter') ?? (csv ? ',' : '\t'),
    nullText: text('null') ?? (csv ? '' : '\\N'),
    quote,
    escape: text('escape') ?? quote,
    header,
    forceNull: columnsOf(seen.get('force_null'), columns),
    forceNotNull: columnsOf(seen.get('force_not_null'), columns),
    ...(defaultText !== undefined && { defaultText }),
    ...(skips && { skips }),
    ...(encoding !== undefined && { encoding }),
    sql: optionsSql(seen, columns, skips),
  }
}

/** ON_ERROR ignore; what is wrong with the options about it Postgres says. */
function skipsOf(text: (name: string) => string | undefined): CopySkips | undefined {
  if (text('on_error')?.toLowerCase() !== 'ignore') return undefined
  const verbosity = text('log_verbosity')?.toLowerCase()
  const says = verbosity === 'verbose' ? 'each' : verbosity === 'silent' ? 'silent' : 'how many'
  const limit = text('reject_limit') ?? ''
  const max = /^\+?[0-9]{1,19}$/.test(limit) ? BigInt(limit) : 0n
  return max > 0n && max <= BIGINT_MAX ? { says, max } : { says }
}

const BIGINT_MAX = (1n << 63n) - 1n

/** Of the data, by Postgres' own name, where that is not UTF8. In binary it means nothing: texts are in the client's. */
function encodingOf(option: DefElem | undefined, format: CopyOptions['format']): string | undefined {
  if (option === undefined) return undefined
  const name = encodingName(optionText(option) ?? '')
  if (name === undefined)
    throw pgError('22023', 'argument to option "encoding" must be a valid encoding name')
  return name === 'UTF8' || format === 'binary' ? undefined : name
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
const NOT_REPEATED = new Set(['header', 'encoding'])

/** Every option in the one syntax that all versions take, whichever it was written in. */
function optionsSql(
  options: ReadonlyMap<string, DefElem>,
  all: readonly string[],
  skips: CopySkips | undefined,
): string {
  const parts: string[] = []
  for (const [name, option] of options) {
    if (NOT_REPEATED.has(name) || isDefault(name, option)) continue
    // Postgres rejects names it does not know; they must not get there unquoted.
    const word = /^[a-z_]+$/.test(name) ? name.toUpperCase() : quoteName(name)
    if (COLUMN_LISTS.has(name)) {
      parts.push(`${word} (${columnsOf(option, all).map(quoteName).join(', ')})`)
    } else {
      const value = ofShard(name, skips) ?? optionText(option)
      parts.push(value === undefined ? word : `${word} ${quoteLiteral(value)}`)
    }
  }
  if (skips?.max !== undefined && !options.has('log_verbosity')) parts.push('LOG_VERBOSITY verbose')
  return parts.length === 0 ? '' : `WITH (${parts.join(', ')})`
}

/** Says what is so anyway: older Postgres need not know it. */
function isDefault(name: string, option: DefElem): boolean {
  if (name === 'on_error') return optionText(option)?.toLowerCase() === 'stop'
  if (name === 'freeze') return optionFlag(option) === false
  return name === 'log_verbosity' && optionText(option)?.toLowerCase() === 'default'
}

/** Rows that are left out are counted over all shards: each tells its own, and none has a limit. */
function ofShard(name: string, skips: CopySkips | undefined): string | undefined {
  if (skips?.max === undefined) return undefined
  if (name === 'reject_limit') return String(BIGINT_MAX)
  return name === 'log_verbosity' ? 'verbose' : undefined
}
