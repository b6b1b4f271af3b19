import type { DefElem } from '@pgsql/types'
import { as, type Node, strings } from '../../parse/ast.ts'
import { defElems, optionFlag, optionText } from './options.ts'
import { pgError } from './plans.ts'
import { findWord, keepItems, listItems, quoteName, replace, tokenAt, tokensOf } from './text.ts'

/** What `CREATE TABLE … WITH (shard_key = …, colocate_with = …, reference = …)` asks for. */
export type Distribution =
  | { readonly kind: 'sharded'; readonly keyColumn: string; readonly colocateWith: string | undefined }
  | { readonly kind: 'reference' }

const OURS = new Set(['shard_key', 'colocate_with', 'reference'])

/** Weft's storage parameters; undefined when there are none, or only `reference = false`. */
export function distributionOf(options: readonly Node[] | undefined): Distribution | undefined {
  const ours = defElems(options).filter(isOurs)
  const value = (name: string): string | undefined => {
    const given = ours.filter((option) => option.defname === name)
    if (given.length > 1) throw pgError('22023', `parameter "${name}" specified more than once`)
    const option = given[0]
    if (option === undefined) return undefined
    const text = name === 'reference' ? String(optionFlag(option)) : nameText(name, option)
    if (text === undefined || text === '' || text === 'undefined') throw badValue(name)
    return text
  }
  const keyColumn = value('shard_key')
  const colocateWith = value('colocate_with')
  const isReference = value('reference') === 'true'
  if (isReference && keyColumn !== undefined) {
    throw pgError('22023', 'a table cannot have both a shard_key and reference = true', EITHER)
  }
  if (colocateWith !== undefined && keyColumn === undefined) {
    throw pgError(
      '22023',
      'colocate_with needs a shard_key',
      "Name the column that is to match: shard_key = '…'.",
    )
  }
  if (isReference) return { kind: 'reference' }
  return keyColumn === undefined
    ? undefined
    : { kind: 'sharded', keyColumn, colocateWith: groupOf(colocateWith) }
}

/** A table may be written as a name rather than in quotes; then its case is settled already. */
function nameText(name: string, option: DefElem): string | undefined {
  const type = as(option.arg, 'TypeName')
  if (name === 'colocate_with' && type !== undefined) return strings(type.names).map(quoteName).join('.')
  return optionText(option)
}

const EITHER = 'A sharded table spreads its rows over the shards, a reference table has all of them on each.'

function badValue(name: string) {
  return name === 'reference'
    ? pgError('22023', 'invalid value for parameter "reference": a Boolean is needed')
    : pgError('22023', `parameter "${name}" needs a value`)
}

/** `default` is what holds without the parameter. */
function groupOf(colocateWith: string | undefined): string | undefined {
  return colocateWith === 'default' ? undefined : colocateWith
}

function isOurs(option: DefElem): boolean {
  return option.defnamespace === undefined && OURS.has(option.defname ?? '')
}

export function hasOurs(options: readonly Node[] | undefined): boolean {
  return defElems(options).some(isOurs)
}

/** The statement without Weft's parameters; other ones are kept, and WITH goes when none is left. */
export function withoutOurs(text: string, options: readonly Node[] | undefined): string {
  const all = defElems(options)
  const tokens = tokensOf(text)
  const first = tokenAt(tokens, all[0]?.location ?? 0)
  const items = listItems(tokens, first)
  if (all.some((option) => !isOurs(option))) return keepItems(text, items, (i) => !isOurs(all[i]!))
  // WITH ( … ): the parenthesis before the first item, and the word before that.
  const close = findWord(tokens, [')'], first)
  const range = { start: tokens[first - 2]!.start, end: tokens[close]!.end }
  return replace(text, range, '').replace(/[ \t]+$/, '')
}
