/** Byte classes of the token that may start with a byte; the character sets of Postgres' scan.l. */
export const OTHER = 0
export const SPACE = 1
export const IDENT = 2
/** A letter that may be the prefix of a quoted literal: e b x n u. */
export const PREFIX = 3
export const DIGIT = 4
export const DOT = 5
export const QUOTE = 6
export const DOUBLE_QUOTE = 7
export const DOLLAR = 8
/** An operator character that starts no comment. */
export const OPERATOR = 9
export const MINUS = 10
export const SLASH = 11
export const PUNCTUATION = 12
export const OPEN = 13
export const CLOSE = 14
export const SEMICOLON = 15

function assign(table: Uint8Array, chars: string, value: number): void {
  for (let i = 0; i < chars.length; i++) table[chars.charCodeAt(i)] = value
}

function tokenStarts(): Uint8Array {
  const table = new Uint8Array(256)
  // Every byte of a multi-byte character is a letter to Postgres, whatever the encoding.
  table.fill(IDENT, 0x80)
  assign(table, 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_', IDENT)
  assign(table, 'ebxnuEBXNU', PREFIX)
  assign(table, ' \t\n\r\f\v', SPACE)
  assign(table, '0123456789', DIGIT)
  assign(table, '~!@#^&|`?+*%<>=', OPERATOR)
  assign(table, ',[]:', PUNCTUATION)
  assign(table, '.', DOT)
  assign(table, "'", QUOTE)
  assign(table, '"', DOUBLE_QUOTE)
  assign(table, '$', DOLLAR)
  assign(table, '-', MINUS)
  assign(table, '/', SLASH)
  assign(table, '(', OPEN)
  assign(table, ')', CLOSE)
  assign(table, ';', SEMICOLON)
  return table
}

export const TOKEN_START: Uint8Array = tokenStarts()

const IS_IDENT_START = 1
const IS_IDENT_CONT = 2
const IS_DOLLAR_TAG = 4

function identTraits(): Uint8Array {
  const table = new Uint8Array(256)
  for (let c = 0; c < 256; c++) {
    const letter = TOKEN_START[c] === IDENT || TOKEN_START[c] === PREFIX
    if (letter) table[c] = IS_IDENT_START | IS_IDENT_CONT | IS_DOLLAR_TAG
    else if (isDigit(c)) table[c] = IS_IDENT_CONT | IS_DOLLAR_TAG
  }
  table[0x24] = IS_IDENT_CONT
  return table
}

const TRAITS = identTraits()

export function isIdentStart(c: number): boolean {
  return (TRAITS[c]! & IS_IDENT_START) !== 0
}

export function isIdentCont(c: number): boolean {
  return (TRAITS[c]! & IS_IDENT_CONT) !== 0
}

/** A byte that a dollar quote's tag may hold after its first one: an identifier's, but no `$`. */
export function isDollarTagCont(c: number): boolean {
  return (TRAITS[c]! & IS_DOLLAR_TAG) !== 0
}

export function isDigit(c: number): boolean {
  return c >= 0x30 && c <= 0x39
}

export function isSpace(c: number): boolean {
  return c === 0x20 || (c >= 0x09 && c <= 0x0d)
}

export function isNewline(c: number): boolean {
  return c === 0x0a || c === 0x0d
}

/** Value of a hexadecimal digit, or -1. */
export function hexValue(c: number): number {
  if (c >= 0x30 && c <= 0x39) return c - 0x30
  const lower = c | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}
