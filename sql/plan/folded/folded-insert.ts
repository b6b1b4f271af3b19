/**
 * A long INSERT … VALUES is planned by a short text that has one row of each shape (plain-rows.ts): neither parser nor
 * planner sees the others, whose places in the plan are told from those of their like. PURE.
 */

import type { Code } from '../../code/code-graph.ts'
import type { Lexed } from '../../lex/lexed.ts'
import type { OffsetMap } from '../../lex/split.ts'
import { TOKENS_MAX } from '../../parse/flatten.ts'
import type { InsertPlan, InsertRow, Plan, TimePlace, TimeWord } from '../plan.ts'
import { findKeyword, nextToken } from '../text-scan.ts'
import { type PlainRow, type PlainRows, plainRows } from './plain-rows.ts'

/** Ahead of the rows are names and columns. */
const HEAD_MAX = 64 * 1024
/** Texts with more sorts of rows are planned as they are. */
const KEPT_MAX = 128

/** The lexer's account of the short text. */
interface TextMap {
  readonly lexed: Lexed
  readonly map: OffsetMap
}

interface Range {
  readonly start: number
  readonly end: number
}

/** So far behind a value of the row, or, with -1, behind where it starts. */
interface Place {
  readonly before: number
  readonly behind: number
}

interface Kept {
  readonly row: PlainRow
  /** Where it is in the short text. */
  readonly start: number
  /** Number of its first literal there. */
  readonly literal: number
}

/** Asked ahead of the lexer's account, which is more work. */
export function mayFold(text: string): boolean {
  return nextToken(text, 0)?.word === 'INSERT'
}

/** Undefined: the text is something else, or would not be shorter. */
export function foldInsert(text: string, lexed: Lexed, map: OffsetMap): FoldedInsert | undefined {
  if (!lexed.ok) return undefined
  const values = findKeyword(text.slice(0, HEAD_MAX), 0, ['VALUES'])
  const found = values && plainRows(text, values.end, lexed, map.toUtf16)
  if (found === undefined || tokensIn(found) > TOKENS_MAX) return undefined
  const kept = keptOf(found)
  if (kept.length > KEPT_MAX || kept.length * 2 > found.rows.length) return undefined
  return new FoldedInsert(text, lexed, map, found, kept)
}

const tokensIn = ({ rows, ids }: PlainRows): number => 2 * (rows.length + ids.length)

/** The first of each shape; the first and the last of all, for what is around them. */
function keptOf({ rows, shapes }: PlainRows): readonly PlainRow[] {
  const seen = new Uint8Array(shapes)
  return rows.filter((row, i) => {
    const isNew = seen[row.shape] === 0
    seen[row.shape] = 1
    return isNew || i === rows.length - 1
  })
}

export class FoldedInsert {
  /** The short text. */
  readonly text: string
  private readonly full: string
  private readonly lexed: Lexed
  private readonly found: PlainRows
  private readonly kept: readonly Kept[]
  /** The first of its shape in the short text. */
  private readonly like: readonly Kept[]
  /** How much more the whole text has ahead of what follows the rows. */
  private readonly moreText: number
  private readonly map: OffsetMap

  constructor(full: string, lexed: Lexed, map: OffsetMap, found: PlainRows, rows: readonly PlainRow[]) {
    this.full = full
    this.lexed = lexed
    this.map = map
    this.found = found
    let text = full.slice(0, rows[0]!.start)
    let literal = this.literals(found.rows[0]!)[0] ?? 0
    const kept: Kept[] = []
    const like: Kept[] = []
    for (const [i, row] of rows.entries()) {
      if (i > 0) text += ', '
      const short = { row, start: text.length, literal }
      kept.push(short)
      like[row.shape] ??= short
      text += full.slice(row.start, row.end)
      literal += this.literals(row).length
    }
    const last = rows.at(-1)!
    this.moreText = last.end - text.length
    this.text = text + full.slice(last.end)
    this.kept = kept
    this.like = like
  }

  /** Where the short text's statement ends, in the whole text. */
  endOf(end: number): number {
    return end + this.moreText
  }

  /** A trigger may run what a string says: whether the rows that are left out name no code that the others do not. */
  namesTheSame(code: Code | undefined): boolean {
    return code === undefined || code.piecesOf(this.full).length === code.piecesOf(this.text).length
  }

  /** The plan of the whole text from that of the short one; undefined: it has something that cannot be told. */
  unfold(plan: Plan, short: TextMap): Plan | undefined {
    const times = plan.times && this.times(plan.times, short)
    if (plan.times !== undefined && times === undefined) return undefined
    const { params, paramUses } = this.lexed
    const paramCount = params.subarray(0, paramUses).reduce((max, number) => Math.max(max, number), 0)
    const words = plan.timeWords && { timeWords: this.words(plan.timeWords, short.lexed) }
    const common = {
      paramCount,
      ...(times && { times }),
      ...words,
    }
    if (plan.kind === 'insert') return this.insert(plan, common)
    if (plan.kind !== 'forward' || plan.sentAs !== undefined || plan.paramsToDescribe.length > 0)
      return undefined
    const isPlain =
      plan.route.kind === 'home' || (plan.route.kind === 'all' && plan.onSeveral.kind === 'first')
    return isPlain ? { ...plan, ...common } : undefined
  }

  private insert(plan: InsertPlan, common: Partial<InsertPlan>): Plan | undefined {
    const { kept, like, found, moreText } = this
    if (plan.rows.length !== kept.length || plan.paramsToDescribe.length > 0) return undefined
    const planned = new Map(kept.map((short, i) => [short, plan.rows[i]!]))
    const patterns = like.map((short) => this.pattern(short, planned.get(short)!))
    const rows = found.rows.map((row) => patterns[row.shape]!(row))
    if (!this.haveTypes(rows)) return undefined
    const ends = plan.literalEnds && { literalEnds: this.literalEnds() }
    return { ...plan, ...common, ...ends, rows, tailStart: plan.tailStart + moreText }
  }

  private literalEnds(): readonly number[] {
    const { lexed, map } = this
    return Array.from(lexed.ends.subarray(0, lexed.literalCount), map.toUtf16)
  }

  /** A key that is said twice may have its type from elsewhere. */
  private haveTypes(rows: readonly InsertRow[]): boolean {
    const { params, paramUses } = this.lexed
    if (paramUses === 0) return true
    const uses = new Uint32Array(0x10000)
    for (let i = 0; i < paramUses; i++) uses[params[i]!]!++
    return rows.every(({ key: { source } }) => source.kind !== 'param' || uses[source.number] === 1)
  }

  /** How to tell what a plan says of a row of this shape. */
  private pattern(short: Kept, { key, defaults, begins }: InsertRow): (row: PlainRow) => InsertRow {
    const range = ({ start, end }: Range): ((row: PlainRow) => Range) => {
      const [from, to] = [this.placeOf(start, short), this.placeOf(end, short)]
      return (row) => ({ start: this.at(from, row), end: this.at(to, row) })
    }
    const keyOf = this.keyPattern(key, short, range)
    const said = defaults.map((one) => ({ fill: one.fill, range: range(one) }))
    const begun = begins && range(begins)
    return (row) => ({
      start: row.start,
      end: row.end,
      key: keyOf(row),
      defaults: said.map((one) => ({ fill: one.fill, ...one.range(row) })),
      ...(begun && { begins: { ...begins, ...begun(row) } }),
    })
  }

  private keyPattern(
    key: InsertRow['key'],
    short: Kept,
    range: (of: Range) => (row: PlainRow) => Range,
  ): (row: PlainRow) => InsertRow['key'] {
    const { source } = key
    const { ids } = this.found
    const ordinal = (id: number): number => ids.indexOf(id, short.row.first) - short.row.first
    if (source.kind === 'literal') {
      const value = ordinal(this.literals(short.row)[source.index - short.literal]!)
      return (row) => ({ ...key, source: { ...source, index: ids[row.first + value]! } })
    }
    if (source.kind === 'param') {
      const value = ordinal(~source.number)
      return (row) => ({ ...key, source: { ...source, number: ~ids[row.first + value]! } })
    }
    if (source.kind !== 'expression') return () => key
    const place = range(source)
    return (row) => ({ source: { kind: 'expression', ...place(row) } })
  }

  /** A place in the short text's row, for all rows of its shape. */
  private placeOf(offset: number, { start, row }: Kept): Place {
    const { ends } = this.found
    const at = offset - start + row.start
    let before = -1
    while (before + 1 < row.count && ends[row.first + before + 1]! <= at) before++
    return { before, behind: at - (before < 0 ? row.start : ends[row.first + before]!) }
  }

  private at({ before, behind }: Place, row: PlainRow): number {
    return behind + (before < 0 ? row.start : this.found.ends[row.first + before]!)
  }

  private literals({ first, count }: PlainRow): readonly number[] {
    return this.found.ids.slice(first, first + count).filter((id) => id >= 0)
  }

  /** Literals of the short text that may be words, as those of the whole text that are like them. */
  private words(words: readonly TimeWord[], short: Lexed): readonly TimeWord[] {
    const { kept, like, found, lexed } = this
    const moved: TimeWord[] = []
    const ofKept = new Map<Kept, { value: number; word: TimeWord }[]>()
    const last = kept.at(-1)!
    for (const word of words) {
      const one = kept.findLast(({ literal }) => literal <= word.literal)
      const id = one && this.literals(one.row)[word.literal - one.literal]
      if (id !== undefined)
        ofKept.set(one!, [
          ...(ofKept.get(one!) ?? []),
          { value: found.ids.indexOf(id, one!.row.first) - one!.row.first, word },
        ])
      // Behind the rows.
      else if (one === last)
        moved.push({ ...word, literal: word.literal + lexed.literalCount - short.literalCount })
      else moved.push(word)
    }
    for (const row of found.rows)
      for (const { value, word } of ofKept.get(like[row.shape]!) ?? [])
        moved.push({ ...word, literal: found.ids[row.first + value]! })
    return moved.sort((a, b) => a.literal - b.literal)
  }

  /** Behind the literal that is ahead of each place, so that they hold for other literals too. */
  private anchored(places: readonly { readonly at: number; readonly place: TimePlace }[]) {
    const { lexed, map } = this
    let literal = -1
    return places.map(({ at, place }): TimePlace => {
      const byte = map.toByte(at)
      while (literal + 1 < lexed.literalCount && lexed.ends[literal + 1]! <= byte) literal++
      return { ...place, literal, skip: byte - (literal < 0 ? 0 : lexed.ends[literal]!) }
    })
  }

  /** What tells a time, by its place in the whole text; undefined where that is not known. */
  private times(places: readonly TimePlace[], { lexed, map }: TextMap): readonly TimePlace[] | undefined {
    const { kept, like, found } = this
    const ofKept = new Map<Kept, { start: number; place: TimePlace }[]>()
    const moved: { at: number; place: TimePlace }[] = []
    for (const place of places) {
      const start = map.toUtf16((place.literal < 0 ? 0 : lexed.ends[place.literal]!) + place.skip)
      const short = kept.findLast((one) => one.start <= start)
      if (short === undefined) moved.push({ at: start, place })
      else if (start < short.start + short.row.end - short.row.start)
        ofKept.set(short, [...(ofKept.get(short) ?? []), { start, place }])
      else if (short === kept.at(-1)) moved.push({ at: start + this.moreText, place })
      else return undefined
    }
    for (const row of found.rows) {
      const short = like[row.shape]!
      for (const { start, place } of ofKept.get(short) ?? [])
        moved.push({ at: this.at(this.placeOf(start, short), row), place })
    }
    moved.sort((a, b) => a.at - b.at)
    return this.anchored(moved)
  }
}
