/** Kinds of literal. A kind's number takes the literal's place in the fingerprint. */
export const LITERAL = {
  /** `12`, `1_000`, `0x1F`, also too big for any integer type. */
  integer: 1,
  /** `1.5`, `.5`, `1.`, `1e10` */
  float: 2,
  /** `'it''s'` */
  string: 3,
  /** `E'a\n'` */
  escape: 4,
  /** `$tag$…$tag$` */
  dollar: 5,
  /** `B'01'` */
  bit: 6,
  /** `X'1F'` */
  hex: 7,
  /** `N'…'`: as for Postgres, the literal starts at the quote; its type is bpchar. */
  national: 8,
  /** `U&'…'`: what it means depends on a UESCAPE that may follow. */
  unicode: 9,
} as const

export type LiteralKind = (typeof LITERAL)[keyof typeof LITERAL]

const CAPACITY_MIN = 16
/** Arrays that one giant statement blew up are let go before the next statement. */
const CAPACITY_KEPT = 65_536

/**
 * What `lexStatement` found, reused from statement to statement: nothing is allocated per call. All places are
 * byte offsets into the buffer that was scanned.
 */
export class Lexed {
  /** False: no certain answer (unterminated literal, junk): ask the real parser, cache nothing. */
  ok = false
  start = 0
  end = 0
  /** Where comments begin that nothing follows but white space and `;`; without any: `end`. */
  tail = 0
  /** Two hashes of everything that is not a literal, as signed 32-bit integers. */
  hashA = 0
  hashB = 0

  literalCount = 0
  kinds: Uint8Array = new Uint8Array(CAPACITY_MIN)
  starts: Uint32Array = new Uint32Array(CAPACITY_MIN)
  ends: Uint32Array = new Uint32Array(CAPACITY_MIN)

  /** Occurrences of `$n` in order; `params` holds the numbers. */
  paramUses = 0
  params: Uint16Array = new Uint16Array(CAPACITY_MIN)

  /** Start of the first and the last token that is no `;`, -1 when the text has none. */
  firstToken = -1
  lastToken = -1
  /** The first `;` outside parentheses, or -1. */
  firstSemicolon = -1
  /** A `;` was seen inside parentheses (CREATE RULE … DO (a; b), or a syntax error). */
  nestedSemicolon = false
  parens = 0

  reset(start: number, end: number): void {
    if (this.kinds.length > CAPACITY_KEPT) this.resizeLiterals(CAPACITY_MIN)
    this.ok = false
    this.start = start
    this.end = end
    this.tail = end
    this.hashA = 0
    this.hashB = 0
    this.literalCount = 0
    this.paramUses = 0
    this.firstToken = -1
    this.lastToken = -1
    this.firstSemicolon = -1
    this.nestedSemicolon = false
    this.parens = 0
  }

  addLiteral(kind: LiteralKind, start: number, end: number): void {
    const i = this.literalCount
    if (i === this.kinds.length) this.resizeLiterals(i * 2)
    this.kinds[i] = kind
    this.starts[i] = start
    this.ends[i] = end
    this.literalCount = i + 1
  }

  addParam(number: number): void {
    const i = this.paramUses
    if (i === this.params.length) this.params = grown(this.params, new Uint16Array(i * 2))
    this.params[i] = number
    this.paramUses = i + 1
  }

  private resizeLiterals(capacity: number): void {
    this.kinds = grown(this.kinds, new Uint8Array(capacity))
    this.starts = grown(this.starts, new Uint32Array(capacity))
    this.ends = grown(this.ends, new Uint32Array(capacity))
  }
}

function grown<T extends Uint8Array | Uint16Array | Uint32Array>(from: T, to: T): T {
  to.set(from.subarray(0, Math.min(from.length, to.length)))
  return to
}
