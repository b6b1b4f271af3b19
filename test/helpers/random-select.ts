import type { Phrases } from './random-phrases.ts'
import type { Source } from './random-tables.ts'

/** Random queries. */
export class QueryWriter {
  private readonly p: Phrases

  constructor(phrases: Phrases) {
    this.p = phrases
  }

  query(): { sql: string; ordered: boolean } {
    const { r } = this.p
    if (r.chance(10)) return { sql: this.withQuery(), ordered: false }
    if (r.chance(6)) return { sql: this.setOperation(), ordered: false }
    return this.select()
  }

  private withQuery(): string {
    this.p.note('WITH')
    const inner = this.p.source()
    const columns = `${this.p.keyOf(inner)} AS k, ${this.p.column(inner, 'number')} AS n`
    const materialized = this.p.r.pick(['', '', 'MATERIALIZED ', 'NOT MATERIALIZED '])
    const body = `SELECT ${columns} FROM ${inner.name} ${inner.alias}${this.p.where([inner], 1)}`
    const outer = this.p.r.chance(60) ? ` WHERE w.k = ${this.p.value(inner.keyType)}` : ''
    const list = this.p.r.chance(30) ? 'count(*), sum(w.n)' : 'w.k, w.n'
    return `WITH w AS ${materialized}(${body}) SELECT ${list} FROM w${outer}`
  }

  private setOperation(): string {
    const op = this.p.r.pick(['UNION', 'UNION ALL', 'EXCEPT', 'INTERSECT'])
    this.p.note(op)
    const arm = (): string => {
      const s = this.p.source(['customers', 'orders', 'items'])
      return `SELECT ${this.p.keyOf(s)} FROM ${s.name} ${s.alias} WHERE ${this.p.keyOf(s)} = ${this.p.number()}`
    }
    return `${arm()} ${op} ${arm()}`
  }

  private select(): { sql: string; ordered: boolean } {
    const { r } = this.p
    const { from, sources } = this.from()
    const where = this.p.where(sources, 2)
    const roll = r.below(100)
    if (roll < 22) return { sql: `SELECT ${this.aggregates(sources)} FROM ${from}${where}`, ordered: false }
    if (roll < 30) {
      return { sql: this.grouped(from, where, sources), ordered: false }
    }
    // The order of `*` could not be said whole.
    const list = this.list(sources, !(roll >= 34 && roll < 40))
    if (roll < 34) {
      this.p.note('DISTINCT')
      return { sql: `SELECT DISTINCT ${list} FROM ${from}${where}`, ordered: false }
    }
    if (roll < 40) {
      this.p.note('ORDER BY')
      const count = list.split(', ').length
      const all = Array.from({ length: count }, (_, i) =>
        `${i + 1} ${r.pick(['', 'DESC', 'NULLS FIRST'])}`.trim(),
      )
      const limit = r.chance(50) ? ` LIMIT ${r.below(4)}` : ''
      if (limit !== '') this.p.note('LIMIT')
      return { sql: `SELECT ${list} FROM ${from}${where} ORDER BY ${all.join(', ')}${limit}`, ordered: true }
    }
    if (roll < 43) {
      this.p.note('FOR UPDATE')
      return {
        sql: `SELECT ${list} FROM ${from}${where} FOR ${r.pick(['UPDATE', 'SHARE', 'NO KEY UPDATE'])}`,
        ordered: false,
      }
    }
    return { sql: `SELECT ${list} FROM ${from}${where}`, ordered: false }
  }

  private grouped(from: string, where: string, sources: readonly Source[]): string {
    const { r } = this.p
    this.p.note('GROUP BY')
    const keys = Array.from({ length: 1 + r.below(2) }, () => {
      const s = r.pick(sources)
      return r.pick([this.p.keyOf(s), this.p.column(s, 'number'), this.p.column(s, 'text')])
    })
    const list = `${keys.join(', ')}, ${this.aggregates(sources)}`
    const by = r.chance(20)
      ? `ROLLUP (${keys.map((_, i) => i + 1).join(', ')})`
      : keys.map((_, i) => i + 1).join(', ')
    const having = r.chance(20) ? ` HAVING count(*) > ${r.below(3)}` : ''
    const sql = `SELECT ${list} FROM ${from}${where} GROUP BY ${by}${having}`
    if (!r.chance(20)) return sql
    this.p.note('subquery of groups')
    return `SELECT count(*), max(g.a), min(g.b) FROM (${sql}) g (a, b)`
  }

  private list(sources: readonly Source[], maybeAll: boolean): string {
    const { r } = this.p
    if (maybeAll && sources.length === 1 && r.chance(15)) return `${sources[0]!.alias}.*`
    return Array.from({ length: 1 + r.below(3) }, () => this.expression(r.pick(sources))).join(', ')
  }

  private expression(s: Source): string {
    const { r } = this.p
    const roll = r.below(12)
    if (roll < 4) return this.p.keyOf(s)
    if (roll < 6) return this.p.column(s, 'number')
    if (roll < 8) return this.p.column(s, 'text')
    if (roll === 8) return `${this.p.column(s, 'number')} * 2 + 1`
    if (roll === 9) return `coalesce(${this.p.column(s, 'text')}, 'none')`
    if (roll === 10)
      return `CASE WHEN ${this.p.column(s, 'number')} > ${this.p.r.below(6)} THEN 'big' ELSE 'small' END`
    this.p.note('scalar subquery')
    const inner = this.p.source()
    const outer = inner.keyType === s.keyType ? this.p.keyOf(s) : this.p.value(inner.keyType)
    return `(SELECT ${this.p.r.pick(['count(*)', `max(${this.p.column(inner, 'number')})`])} FROM ${inner.name} ${inner.alias} WHERE ${this.p.keyOf(inner)} = ${outer})`
  }

  private aggregates(sources: readonly Source[]): string {
    const { r } = this.p
    return Array.from({ length: 1 + r.below(3) }, () => {
      const s = r.pick(sources)
      const argument = r.chance(75) ? this.p.column(s, 'number') : this.p.column(s, 'text')
      const isText = argument.includes('.') && s.texts.includes(argument.split('.')[1]!)
      const name =
        isText || argument === "''"
          ? r.pick(['min', 'max', 'count'])
          : r.pick(['count', 'sum', 'min', 'max', 'avg', 'stddev', 'var_pop'])
      this.p.note(name)
      const filter = r.chance(15) ? ` FILTER (WHERE ${this.p.column(s, 'number')} > ${r.below(5)})` : ''
      const distinct = r.chance(4) ? 'DISTINCT ' : ''
      if (distinct !== '') this.p.note('DISTINCT aggregate')
      if (r.chance(25)) return `count(*)${filter}`
      if (r.chance(8)) return this.listOf(argument, filter)
      const call = `${name}(${distinct}${argument})${filter}`
      return r.chance(15) ? `coalesce(${call}::text, '-')` : call
    }).join(', ')
  }

  /** In whatever order. */
  private listOf(argument: string, filter: string): string {
    const list = this.p.r.pick([
      `string_agg(${argument}::text, ', ')`,
      `array_agg(${argument})`,
      `array_agg(${argument}::text)`,
      `json_agg(${argument})`,
      `jsonb_agg(${argument})`,
    ])
    this.p.note(list.slice(0, list.indexOf('(')))
    return `length((${list}${filter})::text)`
  }

  private from(): { from: string; sources: Source[] } {
    const { r } = this.p
    const first = this.fromItem()
    const sources = [first.source]
    let from = first.text
    while (sources.length < 3 && r.chance(30)) {
      const next = this.fromItem()
      const kind = r.pick(['JOIN', 'JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN', ','])
      const other = r.pick(sources)
      const sameType = next.source.keyType === other.keyType
      const on =
        sameType && r.chance(85)
          ? `${this.p.keyOf(next.source)} = ${this.p.keyOf(other)}`
          : `${this.p.column(next.source, 'number')} = ${this.p.column(other, 'number')}`
      this.p.note(kind === ',' ? 'cross join' : kind)
      const more = r.chance(20) ? ` AND ${this.p.condition(next.source, [next.source, other], 1)}` : ''
      from = kind === ',' ? `${from}, ${next.text}` : `${from} ${kind} ${next.text} ON ${on}${more}`
      sources.push(next.source)
    }
    return { from, sources }
  }

  private fromItem(): { text: string; source: Source } {
    const { r } = this.p
    const s = this.p.source()
    if (!r.chance(12) || s.key === undefined) return { text: `${s.name} ${s.alias}`, source: s }
    this.p.note('subquery in FROM')
    const inner = `i${s.alias}`
    const columns = [...s.numbers, ...s.texts].map((c) => `${inner}.${c}`).join(', ')
    const where = this.p.where([{ ...s, alias: inner }], 1)
    return { text: `(SELECT ${columns} FROM ${s.name} ${inner}${where}) ${s.alias}`, source: s }
  }
}
