/**
 * The rows of a long VALUES list that are nothing but values: literals, parameters and the words that stand for one. Where
 * they are is told from the lexer's literals alone. Rows of one *shape* differ in their values only: what holds for the
 * text of one between its values holds for all. PURE.
 */
import { type Lexed, LITERAL } from '../../lex/lexed.ts'

export interface PlainRow {
  readonly start: number
  /** After its `)`. */
  readonly end: number
  /** Its first value, in the lists of `PlainRows`. */
  readonly first: number
  readonly count: number
  readonly shape: number
}

export interface PlainRows {
  readonly rows: readonly PlainRow[]
  readonly shapes: number
  /** Of every value: where it ends. Offsets are UTF-16. */
  readonly ends: readonly number[]
  /** The number of its literal; of a parameter, `~` its number. */
  readonly ids: readonly number[]
}

const SPACE = /[ \t\n\r\f\v]*/y
const WORD = /(?:null|true|false|default)(?![\w$\u0080-\uffff])/iy
const PARAM = /\$([1-9][0-9]{0,4})(?![\w$\u0080-\uffff])/y
/** By a name alone: what it means is the same for every value. */
const CAST = /[ \t\n\r\f\v]*::[ \t\n\r\f\v]*[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)?(?![\w$\u0080-\uffff])/iy
const FLOAT = /^(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?$/i
/** Read as a time it is another one each time: what says so is looked at by itself. */
const TIME = /^'\s*(now|today|tomorrow|yesterday)\b/i

const BLANK_MAX = 0x20
const ASCII_MAX = 0x7f
const DIGIT_0 = 0x30
const DIGIT_9 = 0x39
const OPEN = 0x28
const CLOSE = 0x29
const COLON = 0x3a
const COMMA = 0x2c
const PLUS = 0x2b
const MINUS = 0x2d

/** The rows from `from` on; undefined when one of them is something else. `toUtf16`: of the lexer's byte offsets. */
export function plainRows(
  text: string,
  from: number,
  lexed: Lexed,
  toUtf16: (bytes: number) => number,
): PlainRows | undefined {
  return new RowScan(text, lexed, toUtf16).from(from)
}

class RowScan {
  private readonly text: string
  private readonly lexed: Lexed
  private readonly toUtf16: (bytes: number) => number
  private readonly shapes = new Map<string, number>()
  private readonly rows: PlainRow[] = []
  private readonly ends: number[] = []
  private readonly ids: number[] = []
  /** The next literal, and where it starts. */
  private literal = 0
  private literalStart = -1
  /** Of the row under way. */
  private shape = ''

  constructor(text: string, lexed: Lexed, toUtf16: (bytes: number) => number) {
    this.text = text
    this.lexed = lexed
    this.toUtf16 = toUtf16
  }

  from(from: number): PlainRows | undefined {
    const { text, rows, shapes, ends, ids } = this
    this.literal = -1
    do this.nextLiteral()
    while (this.literal < this.lexed.literalCount && this.literalStart < from)
    for (let p = this.space(from); ; ) {
      const end = text.charCodeAt(p) === OPEN ? this.row(p) : -1
      if (end < 0) return undefined
      p = this.space(end)
      if (text.charCodeAt(p) !== COMMA) return { rows, shapes: shapes.size, ends, ids }
      p = this.space(p + 1)
    }
  }

  private row(start: number): number {
    const { text, shapes, ends } = this
    const first = ends.length
    this.shape = ''
    for (let p = start; ; ) {
      const from = p
      p = this.item(from, this.space(p + 1))
      if (p < 0) return -1
      const after = this.space(this.cast(p))
      const c = text.charCodeAt(after)
      this.shape += text.slice(p, after)
      p = after
      if (c === COMMA) continue
      if (c !== CLOSE) return -1
      const shape = shapes.get(this.shape) ?? shapes.size
      if (shape === shapes.size) shapes.set(this.shape, shape)
      this.rows.push({ start, end: p + 1, first, count: ends.length - first, shape })
      return p + 1
    }
  }

  /** Where the item ends that stands at `p`; it is part of the shape together with what is ahead of it. */
  private item(from: number, p: number): number {
    const { text } = this
    if (p === this.literalStart) return this.value(from, p, false)
    const sign = text.charCodeAt(p)
    if (sign === MINUS || sign === PLUS) {
      const signed = this.space(p + 1)
      return signed === this.literalStart ? this.value(from, signed, true) : -1
    }
    PARAM.lastIndex = p
    const param = PARAM.exec(text)
    if (param !== null) {
      this.shape += `${text.slice(from, p)}$`
      this.keep(PARAM.lastIndex, ~Number(param[1]))
      return PARAM.lastIndex
    }
    WORD.lastIndex = p
    if (!WORD.test(text)) return -1
    this.shape += text.slice(from, WORD.lastIndex)
    return WORD.lastIndex
  }

  private value(from: number, start: number, isSigned: boolean): number {
    const { text, lexed, literal } = this
    const end = this.toUtf16(lexed.ends[literal]!)
    const kind = kindOf(text, lexed.kinds[literal]!, start, end)
    if (kind === undefined || (isSigned && !NUMBERS.has(kind))) return -1
    this.shape += text.slice(from, start) + kind
    this.keep(end, literal)
    this.nextLiteral()
    return end
  }

  private keep(end: number, id: number): void {
    this.ends.push(end)
    this.ids.push(id)
  }

  private nextLiteral(): void {
    this.literal++
    const isOne = this.literal < this.lexed.literalCount
    this.literalStart = isOne ? this.toUtf16(this.lexed.starts[this.literal]!) : -1
  }

  private cast(p: number): number {
    const c = this.text.charCodeAt(p)
    if (c > BLANK_MAX && c !== COLON) return p
    CAST.lastIndex = p
    return CAST.test(this.text) ? CAST.lastIndex : p
  }

  private space(p: number): number {
    if (this.text.charCodeAt(p) > BLANK_MAX) return p
    SPACE.lastIndex = p
    SPACE.test(this.text)
    return SPACE.lastIndex
  }
}

const NUMBERS: ReadonlySet<string> = new Set(['i', 'f'])

/** What the planner tells of a literal besides its value; undefined: it is looked at by the parser. */
function kindOf(text: string, kind: number, start: number, end: number): string | undefined {
  if (kind === LITERAL.integer) return hasDigitsOnly(text, start, end) ? 'i' : undefined
  if (kind === LITERAL.float) return FLOAT.test(text.slice(start, end)) ? 'f' : undefined
  if (kind !== LITERAL.string) return undefined
  return maySayTime(text, start) && TIME.test(text.slice(start, end)) ? text.slice(start, end) : 's'
}

function hasDigitsOnly(text: string, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const c = text.charCodeAt(i)
    if (c < DIGIT_0 || c > DIGIT_9) return false
  }
  return true
}

/** By its first character: a blank, or one that such a word begins with. */
function maySayTime(text: string, start: number): boolean {
  const c = text.charCodeAt(start + 1)
  return c <= BLANK_MAX || c > ASCII_MAX || 'nty'.includes(text.charAt(start + 1).toLowerCase())
}
