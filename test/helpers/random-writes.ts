import type { Phrases } from './random-phrases.ts'
import { CHANGED, COLUMNS, CONFLICT_KEYS, readable, type Source, TEXTS } from './random-tables.ts'

const writable = readable.filter((table) => table.writable === true).map((table) => table.name)

/** Random INSERT, UPDATE and DELETE. */
export class WriteWriter {
  private readonly p: Phrases

  constructor(phrases: Phrases) {
    this.p = phrases
  }

  insert(): string {
    const { r } = this.p
    const table = r.pick(['customers', 'orders', 'orders', 'items', 'items', 'tags', 'lands', 'notes'])
    this.p.note('INSERT')
    if (r.chance(25)) return this.insertSelect(table)
    const rows = Array.from({ length: r.chance(60) ? 1 : 2 + r.below(3) }, () => `(${this.row(table)})`)
    if (rows.length > 1) this.p.note('INSERT of several rows')
    return `INSERT INTO ${table} (${COLUMNS[table]!}) VALUES ${rows.join(', ')}${this.conflict(table)}${this.returning(table)}`
  }

  private row(table: string): string {
    const { r } = this.p
    const id = String(1 + r.below(14))
    const n = () => r.pick([String(r.below(12)), 'NULL', '2 * 3', 'DEFAULT'])
    switch (table) {
      case 'customers':
        return `${r.chance(80) ? id : this.p.number()}, ${this.p.text()}, ${this.p.text()}, ${n()}`
      case 'orders':
        return `${r.chance(80) ? id : this.p.number()}, ${1 + r.below(6)}, ${n()}, ${n()}, ${this.p.text()}`
      case 'items':
        return `${r.chance(80) ? id : this.p.number()}, ${n()}, ${this.p.text()}, ${n()}`
      case 'tags':
        return `${r.chance(70) ? `'tag${r.below(20)}'` : this.p.text()}, ${n()}, ${n()}`
      case 'lands':
        return `'l${r.below(30)}', ${this.p.text()}, ${n()}`
      default:
        return `${r.below(60)}, ${n()}, ${this.p.text()}`
    }
  }

  private insertSelect(table: string): string {
    const { r } = this.p
    this.p.note('INSERT … SELECT')
    const columns = COLUMNS[table]!.split(', ')
    if (r.chance(50)) {
      const start = r.below(12)
      const list = columns.map((c) =>
        TEXTS.has(c) ? `'g' || g` : c === 'id' || c === 'customer_id' ? 'g' : 'g % 5',
      )
      return `INSERT INTO ${table} (${columns.join(', ')}) SELECT ${list.join(', ')} FROM generate_series(${start}, ${start + r.below(5)}) g${this.conflict(table)}${this.returning(table)}`
    }
    const s = this.p.source(['customers', 'orders', 'lands', 'notes', 'items'])
    const list = columns.map((c) => {
      if (TEXTS.has(c)) return this.p.column(s, 'text')
      return c === 'customer_id' || (table === 'customers' && c === 'id')
        ? this.keyLike(s)
        : `(${this.p.column(s, 'number')})::int`
    })
    return `INSERT INTO ${table} (${columns.join(', ')}) SELECT ${list.join(', ')} FROM ${s.name} ${s.alias}${this.p.where([s], 1)}${this.conflict(table, true)}${this.returning(table)}`
  }

  private keyLike(s: Source): string {
    return s.key !== undefined && s.keyType === 'number' && this.p.r.chance(70)
      ? `${s.alias}.${s.key}`
      : this.p.column(s, 'number')
  }

  private conflict(table: string, always = false): string {
    const { r } = this.p
    const key = CONFLICT_KEYS[table]
    if (key === undefined || !(always || r.chance(40))) return ''
    this.p.note('ON CONFLICT')
    // Which of several source rows is the first one depends on how a table happens to lie.
    if (!always && r.chance(50)) return ' ON CONFLICT DO NOTHING'
    const column = CHANGED[table]!
    return ` ON CONFLICT (${key}) DO UPDATE SET ${column} = excluded.${column}`
  }

  private returning(table: string): string {
    if (!this.p.r.chance(35)) return ''
    this.p.note('RETURNING')
    return ` RETURNING ${this.p.r.pick(['*', COLUMNS[table]!.split(', ')[0]!, `${CHANGED[table]!} AS changed, 1 + 1`])}`
  }

  update(): string {
    const { r } = this.p
    this.p.note('UPDATE')
    const s = this.p.source(writable)
    const column = CHANGED[s.name]!
    const value = TEXTS.has(column)
      ? r.pick([this.p.text(), `${s.alias}.${column} || '+'`, `coalesce(${s.alias}.${column}, '')`])
      : r.pick([String(r.below(9)), `${s.alias}.${column} + 1`, 'NULL', 'DEFAULT'])
    let from = ''
    let link = ''
    if (r.chance(15)) {
      const other = this.p.source()
      this.p.note('UPDATE … FROM')
      from = ` FROM ${other.name} ${other.alias}`
      link = other.keyType === s.keyType ? `${this.p.keyOf(other)} = ${this.p.keyOf(s)}` : 'true'
      // Which of several rows wins is not defined: one value for all of them.
    }
    const where = this.p.where([s], 1)
    const all = link === '' ? where : where === '' ? ` WHERE ${link}` : `${where} AND ${link}`
    const returning = from === '' ? this.returning(s.name) : ''
    return `UPDATE ${s.name} ${s.alias} SET ${column} = ${value}${from}${all}${returning.replaceAll(/RETURNING \*$/g, `RETURNING ${s.alias}.*`)}`
  }

  delete(): string {
    const { r } = this.p
    this.p.note('DELETE')
    const s = this.p.source(writable)
    let using = ''
    let link = ''
    if (r.chance(12)) {
      const other = this.p.source()
      this.p.note('DELETE … USING')
      using = ` USING ${other.name} ${other.alias}`
      link = other.keyType === s.keyType ? ` AND ${this.p.keyOf(other)} = ${this.p.keyOf(s)}` : ''
    }
    return `DELETE FROM ${s.name} ${s.alias}${using} WHERE ${this.p.keyCondition(s)} AND ${this.p.condition(s, [s], 1)}${link}${using === '' ? this.returning(s.name) : ''}`
  }
}
