import type { Random } from './random-queries.ts'
import { readable, type Source, type Type } from './random-tables.ts'

/** What random statements are made of: values, columns, tables, conditions. */
export class Phrases {
  readonly r: Random
  readonly constructs = new Set<string>()
  readonly params: { text: string | null; type: string }[] = []
  private readonly usesParams: boolean
  private aliases = 0

  constructor(r: Random) {
    this.r = r
    this.usesParams = r.chance(35)
  }

  note(name: string): void {
    this.constructs.add(name)
  }

  number(): string {
    const { r } = this
    if (this.usesParams && r.chance(40)) return this.param(String(1 + r.below(9)), 'int8')
    const value = String(1 + r.below(9))
    const roll = r.below(20)
    if (roll === 0) return 'NULL'
    if (roll === 1) return `'${value}'`
    if (roll === 2) return `${value}::int`
    if (roll === 3) return `${value}.0`
    if (roll === 4) return `(${value} + 0)`
    if (roll === 5) return `-${value}`
    return value
  }

  text(): string {
    const { r } = this
    const value = r.pick(['a', 'b', 'c', 'x', '', 'é', 'Z', "o''k", 'de', 'north', 'south'])
    if (this.usesParams && r.chance(40)) return this.param(value.replaceAll("''", "'"), 'text')
    if (r.chance(5)) return 'NULL'
    if (r.chance(8)) return `'${value}'::text`
    if (r.chance(5)) return `E'${value}'`
    return `'${value}'`
  }

  value(type: Type): string {
    return type === 'number' ? this.number() : this.text()
  }

  private param(text: string, type: string): string {
    this.params.push({ text, type })
    return `$${this.params.length}${type === 'int8' ? '::int8' : '::text'}`
  }

  column(s: Source, type: Type): string {
    const names = type === 'number' ? s.numbers : s.texts
    return names.length === 0 ? (type === 'number' ? '0' : "''") : `${s.alias}.${this.r.pick(names)}`
  }

  keyOf(s: Source): string {
    return s.key === undefined ? this.column(s, s.keyType) : `${s.alias}.${s.key}`
  }

  source(names?: readonly string[]): Source {
    const table = this.r.pick(names === undefined ? readable : readable.filter((t) => names.includes(t.name)))
    return { ...table, alias: `t${this.aliases++}` }
  }

  where(sources: readonly Source[], depth: number): string {
    const { r } = this
    const conditions: string[] = []
    for (const s of sources)
      if (s.key !== undefined && r.chance(sources.length === 1 ? 55 : 30))
        conditions.push(this.keyCondition(s))
    while (r.chance(30)) conditions.push(this.condition(r.pick(sources), sources, depth))
    return conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
  }

  keyCondition(s: Source): string {
    const { r } = this
    const key = this.keyOf(s)
    const value = () => this.value(s.keyType)
    const roll = r.below(20)
    if (roll < 12) return r.chance(80) ? `${key} = ${value()}` : `${value()} = ${key}`
    if (roll < 15) return `${key} IN (${value()}, ${value()}, ${value()})`
    if (roll < 17) return `(${key} = ${value()} OR ${key} = ${value()})`
    if (roll === 17) return `${key} ${r.pick(['<', '>=', '<>'])} ${value()}`
    if (roll === 18) return `${key} = ANY (ARRAY[${value()}, ${value()}])`
    return `${key} IS ${r.pick(['NULL', 'NOT NULL'])}`
  }

  condition(s: Source, sources: readonly Source[], depth: number): string {
    const { r } = this
    const roll = r.below(14)
    if (roll < 3) return `${this.column(s, 'number')} ${r.pick(['=', '>', '<=', '<>'])} ${this.number()}`
    if (roll < 5) return `${this.column(s, 'text')} ${r.pick(['=', '>', '<>', 'LIKE'])} ${this.text()}`
    if (roll === 5) return `${this.column(s, 'number')} IS ${r.pick(['NULL', 'NOT NULL'])}`
    if (roll === 6) return `NOT (${this.column(s, 'number')} = ${this.number()})`
    if (roll === 7)
      return `(${this.keyOf(s)} = ${this.value(s.keyType)} OR ${this.column(s, 'number')} > ${this.number()})`
    if (roll === 8) return `${this.column(s, 'number')} = ${this.column(r.pick(sources), 'number')}`
    if (depth <= 0) return 'true'
    const inner = this.source()
    const correlated = inner.keyType === s.keyType && r.chance(75)
    const link = correlated
      ? `${this.keyOf(inner)} = ${this.keyOf(s)}`
      : `${this.keyOf(inner)} = ${this.value(inner.keyType)}`
    if (roll < 11) {
      this.note('EXISTS')
      return `${r.chance(25) ? 'NOT ' : ''}EXISTS (SELECT 1 FROM ${inner.name} ${inner.alias} WHERE ${link})`
    }
    this.note('IN (SELECT …)')
    if (inner.keyType !== s.keyType) return 'true'
    const rest = r.chance(50) ? ` WHERE ${this.condition(inner, [inner], 0)}` : ''
    return `${this.keyOf(s)} ${r.chance(15) ? 'NOT IN' : 'IN'} (SELECT ${this.keyOf(inner)} FROM ${inner.name} ${inner.alias}${rest})`
  }
}
