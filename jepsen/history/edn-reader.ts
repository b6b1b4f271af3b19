/** Reads EDN: as much of it as histories have, ours and Jepsen's own. Keywords become strings, maps objects. */
import type { OpValue } from './op.ts'

const CLOSING = { '[': ']', '(': ')', '{': '}' } as const

/** All values of a text, one after the other. */
export function readEdn(text: string): OpValue[] {
  const reader = new Reader(text)
  const values: OpValue[] = []
  while (!reader.isAtEnd()) values.push(reader.value())
  return values
}

class Reader {
  private at = 0
  private readonly text: string

  constructor(text: string) {
    this.text = text
  }

  isAtEnd(): boolean {
    this.skipBlanks()
    return this.at >= this.text.length
  }

  value(): OpValue {
    this.skipBlanks()
    const char = this.text[this.at]
    switch (char) {
      case undefined:
        throw this.error('ends too early')
      case '[':
      case '(':
        return this.items(CLOSING[char])
      case '{':
        return this.map()
      case '"':
        return this.string()
      case '#':
        return this.tagged()
      default:
        return this.atom()
    }
  }

  /** Commas are blanks; `;` begins a comment, and `#_` takes the next value away. */
  private skipBlanks(): void {
    const blanks = /(?:[\s,]|;[^\n]*)*/y
    blanks.lastIndex = this.at
    blanks.test(this.text)
    this.at = blanks.lastIndex
    if (!this.text.startsWith('#_', this.at)) return
    this.at += 2
    this.value()
    this.skipBlanks()
  }

  private items(closing: string): OpValue[] {
    this.at++
    const items: OpValue[] = []
    for (;;) {
      this.skipBlanks()
      if (this.text[this.at] === closing) break
      items.push(this.value())
    }
    this.at++
    return items
  }

  private map(): OpValue {
    const items = this.items('}')
    if (items.length % 2 !== 0) throw this.error('has a map with a key but no value')
    const map: Record<string, OpValue> = {}
    for (let i = 0; i < items.length; i += 2) map[String(items[i])] = items[i + 1] as OpValue
    return map
  }

  /** A set is an array; of a tagged value (`#jepsen.history.Op{…}`) the value is taken. */
  private tagged(): OpValue {
    this.at++
    if (this.text[this.at] === '{') return this.items('}')
    this.word()
    return this.value()
  }

  private string(): string {
    const string = /"(?:[^"\\]|\\[\s\S])*"/y
    string.lastIndex = this.at
    const found = string.exec(this.text)?.[0]
    if (found === undefined) throw this.error('has a string without an end')
    this.at += found.length
    // EDN lets a line break be in a string, JSON does not.
    return JSON.parse(found.replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t')) as string
  }

  private word(): string {
    const word = /[^\s,;()[\]{}"]+/y
    word.lastIndex = this.at
    const found = word.exec(this.text)?.[0]
    if (found === undefined) throw this.error(`has ${this.text[this.at]} in the wrong place`)
    this.at += found.length
    return found
  }

  private atom(): OpValue {
    const word = this.word()
    if (word.startsWith(':')) return word.slice(1)
    if (word === 'nil') return null
    if (word === 'true' || word === 'false') return word === 'true'
    const number = /^[+-]?\d/.test(word) ? Number(word.replace(/[NM]$/, '')) : Number.NaN
    return Number.isNaN(number) ? word : number
  }

  private error(what: string): Error {
    const line = this.text.slice(0, this.at).split('\n').length
    return new Error(`EDN ${what}, at line ${line}`)
  }
}
