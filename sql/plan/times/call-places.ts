/** Finds the calls in a statement that tell the time of its transaction or of itself. PURE. */
import type * as Pg from '@pgsql/types'
import { weftError } from '../../../errors/catalog.ts'
import type { Refused } from '../../../errors/refusals/refusals.ts'
import type { Catalog } from '../../catalog.ts'
import { as, at, type Node } from '../../parse/ast.ts'
import { type TimeKeyword, timeCall, timeKeyword } from '../../tree/time-calls.ts'
import { closing, nextToken, type TextToken } from '../text-scan.ts'
import { type TextPlace, timeOf } from './text-place.ts'

/**
 * What stands around a call: `label`, an output column that may get its name from it; `from`, it is itself an item of FROM,
 * where a cast cannot be.
 */
type Around = 'value' | 'label' | 'from'

export function callPlaces(root: unknown, text: string, catalog: Catalog): TextPlace[] {
  const finder = new Finder(text, catalog)
  finder.look(root, 'value')
  return [...finder.found.values()]
}

class Finder {
  /** By start: the tree says some things twice (`(a, b) = (…)`). */
  readonly found = new Map<string, TextPlace>()
  private readonly text: string
  private readonly catalog: Catalog

  constructor(text: string, catalog: Catalog) {
    this.text = text
    this.catalog = catalog
  }

  look(value: unknown, around: Around): void {
    if (typeof value !== 'object' || value === null) return
    if (Array.isArray(value)) {
      for (const item of value) this.look(item, around)
      return
    }
    for (const [kind, child] of Object.entries(value)) this.child(kind, child, around)
  }

  private child(kind: string, child: object, around: Around): void {
    switch (kind) {
      case 'ResTarget':
        return this.look(child, (child as Pg.ResTarget).name === undefined ? 'label' : 'value')
      case 'RangeFunction':
        return this.functions(child as Pg.RangeFunction)
      case 'FuncCall':
        this.call(child as Pg.FuncCall, around)
        return this.look(child, around === 'from' ? 'value' : around)
      case 'SQLValueFunction':
        return this.keyword(child as Pg.SQLValueFunction, around)
      default:
        return this.look(child, around)
    }
  }

  /** Each is a list of the function and its column definitions. */
  private functions(item: Pg.RangeFunction): void {
    for (const list of item.functions ?? []) {
      const [called] = as(list, 'List')?.items ?? []
      const keyword = as(called, 'SQLValueFunction')
      const found = keyword && timeKeyword(keyword)
      if (found?.hasPrecision && item.is_rowsfrom !== true) this.cast(keyword!, found, item)
      else this.look(called, isCall(called) ? 'from' : 'value')
    }
  }

  /** A cast may stand in FROM where it is written as one; it does not give its name to the item. */
  private cast(node: Pg.SQLValueFunction, { word, type }: TimeKeyword, item: Pg.RangeFunction): void {
    const { text } = this
    const start = at(node)
    const { end } = nextToken(text, start)!
    const close = closing(text, nextToken(text, end)!.start)
    this.add({ start, end, parts: ['CAST(', timeOf('transaction'), ` AS pg_catalog.${type}`] })
    this.add({ start: close, end: close, parts: [')'] })
    if (item.alias !== undefined) return
    const behind = item.ordinality ? nextToken(text, nextToken(text, close)!.end)!.end : close
    this.add({ start: behind, end: behind, parts: [` AS "${word.toLowerCase()}"`] })
  }

  private call(call: Pg.FuncCall, around: Around): void {
    const found = timeCall(call, this.catalog)
    if (found === undefined) return
    const { text } = this
    const start = at(call)
    const open = opening(text, start)
    const end = closing(text, open.start)
    const { name, clock } = found
    if (name === 'age') {
      this.add({ start, end: open.end, parts: ['weft.age('] })
      this.add({ start: end - 1, end: end - 1, parts: [', ', timeOf(clock)] })
      return
    }
    const parts = around === 'value' ? [timeOf(clock)] : [`weft.${name}(`, timeOf(clock), ')']
    this.add({ start, end, parts })
  }

  private keyword(node: Pg.SQLValueFunction, around: Around): void {
    const found = timeKeyword(node)
    if (found === undefined) return
    if (around === 'from' && found.hasPrecision) throw weftError('not_supported', inFrom(found))
    const start = at(node)
    const end = nextToken(this.text, start)!.end
    const time = timeOf('transaction')
    const said = around === 'value' ? [time] : [`weft."${found.word.toLowerCase()}"(`, time, ')']
    // Its precision follows, and becomes that of the type.
    const isCast = found.hasPrecision || (around === 'value' && found.type !== 'timestamptz')
    this.add({ start, end, parts: isCast ? [...said, `::pg_catalog.${found.type}`] : said })
  }

  private add(place: TextPlace): void {
    this.found.set(`${place.start} ${place.end} ${place.parts.length} ${place.parts[0]}`, place)
  }
}

const inFrom = ({ word }: TimeKeyword): Refused => ({
  id: 'time_in_from',
  what: `${word} with a precision in ROWS FROM is not supported`,
  hint: `Write it as an item of FROM of its own.`,
})

function isCall(node: Node | undefined): boolean {
  return as(node, 'FuncCall') !== undefined || as(node, 'SQLValueFunction') !== undefined
}

/** The parenthesis after a function's name, which has none in it. */
function opening(text: string, start: number): TextToken {
  let token = nextToken(text, start)!
  while (token.word !== '(') token = nextToken(text, token.end)!
  return token
}
