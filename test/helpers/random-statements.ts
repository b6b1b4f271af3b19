import type { Random } from './random-queries.ts'

/** Statements that read and write the tables of `randomTables`, made from a seed. */
export interface RandomStatement {
  readonly sql: string
  /** What it is made of, for the table of refusals. */
  readonly constructs: readonly string[]
  readonly ordered: boolean
  readonly params: readonly { readonly text: string | null; readonly type: string }[]
}

/** `options`: the WITH clause on Weft. */
export const randomTables: readonly { readonly ddl: string; readonly options: string }[] = [
  {
    ddl: `CREATE TABLE customers (id bigint PRIMARY KEY, name text, region text, credit numeric(10,2), joined date)`,
    options: `shard_key = 'id'`,
  },
  {
    ddl: `CREATE TABLE orders (customer_id bigint NOT NULL, id int NOT NULL, qty int, price numeric(8,2), note text,
      weight float8, placed timestamptz, PRIMARY KEY (customer_id, id))`,
    options: `shard_key = 'customer_id', colocate_with = 'customers'`,
  },
  {
    ddl: `CREATE TABLE items (customer_id bigint NOT NULL, order_id int, sku text, amount int)`,
    options: `shard_key = 'customer_id', colocate_with = 'customers'`,
  },
  {
    ddl: `CREATE TABLE tags (tag text PRIMARY KEY, id int, hits bigint DEFAULT 0)`,
    options: `shard_key = 'tag'`,
  },
  { ddl: `CREATE TABLE lands (code text PRIMARY KEY, name text, pop bigint)`, options: `reference = 'true'` },
  { ddl: `CREATE TABLE notes (id int PRIMARY KEY, customer_id bigint, body text)`, options: '' },
  { ddl: `CREATE VIEW order_view AS SELECT customer_id, id, qty FROM orders WHERE qty > 1`, options: '' },
  {
    ddl: `CREATE VIEW joined AS SELECT c.id AS customer_id, c.region, o.id AS order_id, o.qty
      FROM customers c LEFT JOIN orders o ON o.customer_id = c.id`,
    options: '',
  },
]

type Type = 'number' | 'text'

interface Table {
  readonly name: string
  readonly key: string | undefined
  readonly keyType: Type
  readonly numbers: readonly string[]
  readonly texts: readonly string[]
  readonly writable?: boolean
}

const T: readonly Table[] = [
  {
    name: 'customers',
    key: 'id',
    keyType: 'number',
    numbers: ['id', 'credit'],
    texts: ['name', 'region'],
    writable: true,
  },
  {
    name: 'orders',
    key: 'customer_id',
    keyType: 'number',
    numbers: ['customer_id', 'id', 'qty', 'price'],
    texts: ['note'],
    writable: true,
  },
  {
    name: 'orders',
    key: 'customer_id',
    keyType: 'number',
    numbers: ['customer_id', 'id', 'qty', 'price'],
    texts: ['note'],
    writable: true,
  },
  {
    name: 'items',
    key: 'customer_id',
    keyType: 'number',
    numbers: ['customer_id', 'order_id', 'amount'],
    texts: ['sku'],
    writable: true,
  },
  { name: 'tags', key: 'tag', keyType: 'text', numbers: ['id', 'hits'], texts: ['tag'], writable: true },
  {
    name: 'lands',
    key: undefined,
    keyType: 'text',
    numbers: ['pop'],
    texts: ['code', 'name'],
    writable: true,
  },
  {
    name: 'notes',
    key: undefined,
    keyType: 'number',
    numbers: ['id', 'customer_id'],
    texts: ['body'],
    writable: true,
  },
  {
    name: 'order_view',
    key: 'customer_id',
    keyType: 'number',
    numbers: ['customer_id', 'id', 'qty'],
    texts: [],
  },
  {
    name: 'joined',
    key: 'customer_id',
    keyType: 'number',
    numbers: ['customer_id', 'order_id', 'qty'],
    texts: ['region'],
  },
]

interface Source extends Table {
  readonly alias: string
}

export function randomStatement(r: Random): RandomStatement {
  return new Writer(r).statement()
}

class Writer {
  private readonly r: Random
  private readonly constructs = new Set<string>()
  private readonly params: { text: string | null; type: string }[] = []
  private readonly usesParams: boolean
  private aliases = 0

  constructor(r: Random) {
    this.r = r
    this.usesParams = r.chance(35)
  }

  statement(): RandomStatement {
    const { r } = this
    const roll = r.below(100)
    let sql: string
    let ordered = false
    if (roll < 62) {
      const query = this.query()
      sql = query.sql
      ordered = query.ordered
    } else if (roll < 78) sql = this.insert()
    else if (roll < 90) sql = this.update()
    else sql = this.delete()
    return { sql, ordered, constructs: [...this.constructs], params: this.params }
  }

  private note(name: string): void {
    this.constructs.add(name)
  }

  // Values

  private number(): string {
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

  private text(): string {
    const { r } = this
    const value = r.pick(['a', 'b', 'c', 'x', '', 'é', 'Z', "o''k", 'de', 'north', 'south'])
    if (this.usesParams && r.chance(40)) return this.param(value.replaceAll("''", "'"), 'text')
    if (r.chance(5)) return 'NULL'
    if (r.chance(8)) return `'${value}'::text`
    if (r.chance(5)) return `E'${value}'`
    return `'${value}'`
  }

  private value(type: Type): string {
    return type === 'number' ? this.number() : this.text()
  }

  private param(text: string, type: string): string {
    this.params.push({ text, type })
    return `$${this.params.length}${type === 'int8' ? '::int8' : '::text'}`
  }

  private column(s: Source, type: Type): string {
    const names = type === 'number' ? s.numbers : s.texts
    return names.length === 0 ? (type === 'number' ? '0' : "''") : `${s.alias}.${this.r.pick(names)}`
  }

  private keyOf(s: Source): string {
    return s.key === undefined ? this.column(s, s.keyType) : `${s.alias}.${s.key}`
  }

  private source(names?: readonly string[]): Source {
    const table = this.r.pick(names === undefined ? T : T.filter((t) => names.includes(t.name)))
    return { ...table, alias: `t${this.aliases++}` }
  }

  // Queries

  private query(): { sql: string; ordered: boolean } {
    const { r } = this
    if (r.chance(10)) return { sql: this.withQuery(), ordered: false }
    if (r.chance(6)) return { sql: this.setOperation(), ordered: false }
    return this.select()
  }

  private withQuery(): string {
    this.note('WITH')
    const inner = this.source()
    const columns = `${this.keyOf(inner)} AS k, ${this.column(inner, 'number')} AS n`
    const materialized = this.r.pick(['', '', 'MATERIALIZED ', 'NOT MATERIALIZED '])
    const body = `SELECT ${columns} FROM ${inner.name} ${inner.alias}${this.where([inner], 1)}`
    const outer = this.r.chance(60) ? ` WHERE w.k = ${this.value(inner.keyType)}` : ''
    const list = this.r.chance(30) ? 'count(*), sum(w.n)' : 'w.k, w.n'
    return `WITH w AS ${materialized}(${body}) SELECT ${list} FROM w${outer}`
  }

  private setOperation(): string {
    const op = this.r.pick(['UNION', 'UNION ALL', 'EXCEPT', 'INTERSECT'])
    this.note(op)
    const arm = (): string => {
      const s = this.source(['customers', 'orders', 'items'])
      return `SELECT ${this.keyOf(s)} FROM ${s.name} ${s.alias} WHERE ${this.keyOf(s)} = ${this.number()}`
    }
    return `${arm()} ${op} ${arm()}`
  }

  private select(): { sql: string; ordered: boolean } {
    const { r } = this
    const { from, sources } = this.from()
    const where = this.where(sources, 2)
    const roll = r.below(100)
    if (roll < 22) return { sql: `SELECT ${this.aggregates(sources)} FROM ${from}${where}`, ordered: false }
    if (roll < 28) {
      this.note('GROUP BY')
      const key = this.keyOf(sources[0]!)
      return {
        sql: `SELECT ${key}, ${this.aggregates(sources)} FROM ${from}${where} GROUP BY ${key}`,
        ordered: false,
      }
    }
    // The order of `*` could not be said whole.
    const list = this.list(sources, !(roll >= 32 && roll < 38))
    if (roll < 32) {
      this.note('DISTINCT')
      return { sql: `SELECT DISTINCT ${list} FROM ${from}${where}`, ordered: false }
    }
    if (roll < 38) {
      this.note('ORDER BY')
      const count = list.split(', ').length
      const all = Array.from({ length: count }, (_, i) =>
        `${i + 1} ${r.pick(['', 'DESC', 'NULLS FIRST'])}`.trim(),
      )
      const limit = r.chance(50) ? ` LIMIT ${r.below(4)}` : ''
      if (limit !== '') this.note('LIMIT')
      return { sql: `SELECT ${list} FROM ${from}${where} ORDER BY ${all.join(', ')}${limit}`, ordered: true }
    }
    if (roll < 41) {
      this.note('FOR UPDATE')
      return {
        sql: `SELECT ${list} FROM ${from}${where} FOR ${r.pick(['UPDATE', 'SHARE', 'NO KEY UPDATE'])}`,
        ordered: false,
      }
    }
    return { sql: `SELECT ${list} FROM ${from}${where}`, ordered: false }
  }

  private list(sources: readonly Source[], maybeAll: boolean): string {
    const { r } = this
    if (maybeAll && sources.length === 1 && r.chance(15)) return `${sources[0]!.alias}.*`
    return Array.from({ length: 1 + r.below(3) }, () => this.expression(r.pick(sources))).join(', ')
  }

  private expression(s: Source): string {
    const { r } = this
    const roll = r.below(12)
    if (roll < 4) return this.keyOf(s)
    if (roll < 6) return this.column(s, 'number')
    if (roll < 8) return this.column(s, 'text')
    if (roll === 8) return `${this.column(s, 'number')} * 2 + 1`
    if (roll === 9) return `coalesce(${this.column(s, 'text')}, 'none')`
    if (roll === 10)
      return `CASE WHEN ${this.column(s, 'number')} > ${this.r.below(6)} THEN 'big' ELSE 'small' END`
    this.note('scalar subquery')
    const inner = this.source()
    const outer = inner.keyType === s.keyType ? this.keyOf(s) : this.value(inner.keyType)
    return `(SELECT ${this.r.pick(['count(*)', `max(${this.column(inner, 'number')})`])} FROM ${inner.name} ${inner.alias} WHERE ${this.keyOf(inner)} = ${outer})`
  }

  private aggregates(sources: readonly Source[]): string {
    const { r } = this
    return Array.from({ length: 1 + r.below(3) }, () => {
      const s = r.pick(sources)
      const argument = r.chance(75) ? this.column(s, 'number') : this.column(s, 'text')
      const isText = argument.includes('.') && s.texts.includes(argument.split('.')[1]!)
      const name =
        isText || argument === "''"
          ? r.pick(['min', 'max', 'count'])
          : r.pick(['count', 'sum', 'min', 'max', 'avg'])
      this.note(name)
      const filter = r.chance(15) ? ` FILTER (WHERE ${this.column(s, 'number')} > ${r.below(5)})` : ''
      const distinct = r.chance(4) ? 'DISTINCT ' : ''
      if (distinct !== '') this.note('DISTINCT aggregate')
      if (r.chance(25)) return `count(*)${filter}`
      const call = `${name}(${distinct}${argument})${filter}`
      return r.chance(15) ? `coalesce(${call}::text, '-')` : call
    }).join(', ')
  }

  private from(): { from: string; sources: Source[] } {
    const { r } = this
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
          ? `${this.keyOf(next.source)} = ${this.keyOf(other)}`
          : `${this.column(next.source, 'number')} = ${this.column(other, 'number')}`
      this.note(kind === ',' ? 'cross join' : kind)
      const more = r.chance(20) ? ` AND ${this.condition(next.source, [next.source, other], 1)}` : ''
      from = kind === ',' ? `${from}, ${next.text}` : `${from} ${kind} ${next.text} ON ${on}${more}`
      sources.push(next.source)
    }
    return { from, sources }
  }

  private fromItem(): { text: string; source: Source } {
    const { r } = this
    const s = this.source()
    if (!r.chance(12) || s.key === undefined) return { text: `${s.name} ${s.alias}`, source: s }
    this.note('subquery in FROM')
    const inner = `i${s.alias}`
    const columns = [...s.numbers, ...s.texts].map((c) => `${inner}.${c}`).join(', ')
    const where = this.where([{ ...s, alias: inner }], 1)
    return { text: `(SELECT ${columns} FROM ${s.name} ${inner}${where}) ${s.alias}`, source: s }
  }

  private where(sources: readonly Source[], depth: number): string {
    const { r } = this
    const conditions: string[] = []
    for (const s of sources)
      if (s.key !== undefined && r.chance(sources.length === 1 ? 55 : 30))
        conditions.push(this.keyCondition(s))
    while (r.chance(30)) conditions.push(this.condition(r.pick(sources), sources, depth))
    return conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
  }

  private keyCondition(s: Source): string {
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

  private condition(s: Source, sources: readonly Source[], depth: number): string {
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

  // Writes

  private insert(): string {
    const { r } = this
    const table = r.pick(['customers', 'orders', 'orders', 'items', 'items', 'tags', 'lands', 'notes'])
    this.note('INSERT')
    if (r.chance(25)) return this.insertSelect(table)
    const rows = Array.from({ length: r.chance(60) ? 1 : 2 + r.below(3) }, () => `(${this.row(table)})`)
    if (rows.length > 1) this.note('INSERT of several rows')
    return `INSERT INTO ${table} (${COLUMNS[table]!}) VALUES ${rows.join(', ')}${this.conflict(table)}${this.returning(table)}`
  }

  private row(table: string): string {
    const { r } = this
    const id = String(1 + r.below(14))
    const n = () => r.pick([String(r.below(12)), 'NULL', '2 * 3', 'DEFAULT'])
    switch (table) {
      case 'customers':
        return `${r.chance(80) ? id : this.number()}, ${this.text()}, ${this.text()}, ${n()}`
      case 'orders':
        return `${r.chance(80) ? id : this.number()}, ${1 + r.below(6)}, ${n()}, ${n()}, ${this.text()}`
      case 'items':
        return `${r.chance(80) ? id : this.number()}, ${n()}, ${this.text()}, ${n()}`
      case 'tags':
        return `${r.chance(70) ? `'tag${r.below(20)}'` : this.text()}, ${n()}, ${n()}`
      case 'lands':
        return `'l${r.below(30)}', ${this.text()}, ${n()}`
      default:
        return `${r.below(60)}, ${n()}, ${this.text()}`
    }
  }

  private insertSelect(table: string): string {
    const { r } = this
    this.note('INSERT … SELECT')
    const columns = COLUMNS[table]!.split(', ')
    if (r.chance(50)) {
      const start = r.below(12)
      const list = columns.map((c) =>
        TEXTS.has(c) ? `'g' || g` : c === 'id' || c === 'customer_id' ? 'g' : 'g % 5',
      )
      return `INSERT INTO ${table} (${columns.join(', ')}) SELECT ${list.join(', ')} FROM generate_series(${start}, ${start + r.below(5)}) g${this.conflict(table)}${this.returning(table)}`
    }
    const s = this.source(['customers', 'orders', 'lands', 'notes', 'items'])
    const list = columns.map((c) => {
      if (TEXTS.has(c)) return this.column(s, 'text')
      return c === 'customer_id' || (table === 'customers' && c === 'id')
        ? this.keyLike(s)
        : `(${this.column(s, 'number')})::int`
    })
    return `INSERT INTO ${table} (${columns.join(', ')}) SELECT ${list.join(', ')} FROM ${s.name} ${s.alias}${this.where([s], 1)}${this.conflict(table, true)}${this.returning(table)}`
  }

  private keyLike(s: Source): string {
    return s.key !== undefined && s.keyType === 'number' && this.r.chance(70)
      ? `${s.alias}.${s.key}`
      : this.column(s, 'number')
  }

  private conflict(table: string, always = false): string {
    const { r } = this
    const key = CONFLICT_KEYS[table]
    if (key === undefined || !(always || r.chance(40))) return ''
    this.note('ON CONFLICT')
    // Which of several source rows is the first one depends on how a table happens to lie.
    if (!always && r.chance(50)) return ' ON CONFLICT DO NOTHING'
    const column = CHANGED[table]!
    return ` ON CONFLICT (${key}) DO UPDATE SET ${column} = excluded.${column}`
  }

  private returning(table: string): string {
    if (!this.r.chance(35)) return ''
    this.note('RETURNING')
    return ` RETURNING ${this.r.pick(['*', COLUMNS[table]!.split(', ')[0]!, `${CHANGED[table]!} AS changed, 1 + 1`])}`
  }

  private update(): string {
    const { r } = this
    this.note('UPDATE')
    const s = this.source(T.filter((t) => t.writable === true).map((t) => t.name))
    const column = CHANGED[s.name]!
    const value = TEXTS.has(column)
      ? r.pick([this.text(), `${s.alias}.${column} || '+'`, `coalesce(${s.alias}.${column}, '')`])
      : r.pick([String(r.below(9)), `${s.alias}.${column} + 1`, 'NULL', 'DEFAULT'])
    let from = ''
    let link = ''
    if (r.chance(15)) {
      const other = this.source()
      this.note('UPDATE … FROM')
      from = ` FROM ${other.name} ${other.alias}`
      link = other.keyType === s.keyType ? `${this.keyOf(other)} = ${this.keyOf(s)}` : 'true'
      // Which of several rows wins is not defined: one value for all of them.
    }
    const where = this.where([s], 1)
    const all = link === '' ? where : where === '' ? ` WHERE ${link}` : `${where} AND ${link}`
    const returning = from === '' ? this.returning(s.name) : ''
    return `UPDATE ${s.name} ${s.alias} SET ${column} = ${value}${from}${all}${returning.replaceAll(/RETURNING \*$/g, `RETURNING ${s.alias}.*`)}`
  }

  private delete(): string {
    const { r } = this
    this.note('DELETE')
    const s = this.source(T.filter((t) => t.writable === true).map((t) => t.name))
    let using = ''
    let link = ''
    if (r.chance(12)) {
      const other = this.source()
      this.note('DELETE … USING')
      using = ` USING ${other.name} ${other.alias}`
      link = other.keyType === s.keyType ? ` AND ${this.keyOf(other)} = ${this.keyOf(s)}` : ''
    }
    return `DELETE FROM ${s.name} ${s.alias}${using} WHERE ${this.keyCondition(s)} AND ${this.condition(s, [s], 1)}${link}${using === '' ? this.returning(s.name) : ''}`
  }
}

const COLUMNS: Readonly<Record<string, string>> = {
  customers: 'id, name, region, credit',
  orders: 'customer_id, id, qty, price, note',
  items: 'customer_id, order_id, sku, amount',
  tags: 'tag, id, hits',
  lands: 'code, name, pop',
  notes: 'id, customer_id, body',
}
const CONFLICT_KEYS: Readonly<Record<string, string>> = {
  customers: 'id',
  orders: 'customer_id, id',
  tags: 'tag',
  lands: 'code',
  notes: 'id',
}
const CHANGED: Readonly<Record<string, string>> = {
  customers: 'credit',
  orders: 'qty',
  items: 'amount',
  tags: 'hits',
  lands: 'name',
  notes: 'body',
}
const TEXTS: ReadonlySet<string> = new Set(['name', 'region', 'note', 'sku', 'tag', 'code', 'body'])
