/** Statements over the tables of `planner-world.ts`, made from a seed; most of them have an answer. */

export interface Random {
  below(n: number): number
  pick<T>(items: readonly T[]): T
  chance(percent: number): boolean
}

/** Mulberry32: small, and the same everywhere. */
export function seeded(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const below = (n: number) => Math.floor(next() * n)
  return {
    below,
    pick: (items) => items[below(items.length)]!,
    chance: (percent) => below(100) < percent,
  }
}

interface Source {
  readonly name: string
  readonly key: string | undefined
  /** bigint columns, the key among them. */
  readonly numbers: readonly string[]
  readonly texts: readonly string[]
}

const TABLES: readonly Source[] = [
  { name: 'orders', key: 'customer_id', numbers: ['customer_id', 'id', 'qty'], texts: ['note'] },
  { name: 'orders', key: 'customer_id', numbers: ['customer_id', 'id', 'qty'], texts: ['note'] },
  { name: 'items', key: 'customer_id', numbers: ['customer_id', 'order_id'], texts: ['sku'] },
  { name: 'items', key: 'customer_id', numbers: ['customer_id', 'order_id'], texts: ['sku'] },
  { name: 'customers', key: 'id', numbers: ['id', 'parent'], texts: ['name', 'region'] },
  { name: 'countries', key: undefined, numbers: ['id'], texts: ['code', 'name'] },
  { name: 'order_view', key: 'customer_id', numbers: ['customer_id', 'id'], texts: [] },
  { name: 'order_items', key: 'customer_id', numbers: ['customer_id'], texts: ['sku'] },
  { name: 'order_totals', key: 'customer_id', numbers: ['customer_id'], texts: [] },
]

interface Item extends Source {
  readonly alias: string
  readonly text: string
}

class Maker {
  private readonly r: Random
  private aliases = 0
  private readonly ctes: Source[] = []

  constructor(r: Random) {
    this.r = r
  }

  /** A SELECT on its own. */
  statement(): string {
    const withClause = this.r.chance(20) ? this.withClause() : ''
    return withClause + this.select(2, [], 'any').text
  }

  private withClause(): string {
    const { text, numbers } = this.select(1, [], 'columns')
    const name = 'w'
    const names = numbers.map((_, i) => `n${i}`)
    this.ctes.push({ name, key: names[0], numbers: names, texts: [] })
    return `WITH ${name} (${names.join(', ')}) AS (${text}) `
  }

  /** `columns`: all outputs are bigint columns. */
  private select(
    depth: number,
    outer: readonly Item[],
    want: 'any' | 'columns' | 'one',
  ): { text: string; numbers: string[] } {
    const { r } = this
    const items: Item[] = []
    let from = ''
    const count = 1 + r.below(want === 'one' ? 2 : 3)
    for (let i = 0; i < count; i++) {
      const item = this.item(depth - 1, [...outer, ...items])
      from = i === 0 ? item.text : this.join(from, item, items, outer, depth)
      items.push(item)
    }
    const correlated = want === 'one' && outer.length > 0 && r.chance(60)
    const where = this.where(items, outer, depth, correlated)
    const numbers = this.outputs(items, want)
    if (want === 'any' && r.chance(25))
      return { text: `SELECT ${this.aggregates(items)} FROM ${from}${where}`, numbers }
    const list = numbers.join(', ')
    const positions = numbers.map((_, i) => i + 1).join(', ')
    if (r.chance(10)) return { text: `SELECT DISTINCT ${list} FROM ${from}${where}`, numbers }
    if (r.chance(10)) return { text: `SELECT ${list} FROM ${from}${where} GROUP BY ${list}`, numbers }
    if (r.chance(14)) {
      return {
        text: `SELECT ${list} FROM ${from}${where} ORDER BY ${positions} LIMIT ${1 + r.below(4)}`,
        numbers,
      }
    }
    const plain = `SELECT ${list} FROM ${from}${where}`
    if (depth > 0 && r.chance(8)) {
      const other = this.select(depth - 1, outer, 'columns')
      if (other.numbers.length === numbers.length) {
        const operation = r.pick(['UNION', 'UNION ALL', 'EXCEPT', 'INTERSECT', 'EXCEPT ALL'])
        return { text: `(${plain}) ${operation} (${other.text})`, numbers }
      }
    }
    return { text: plain, numbers }
  }

  private outputs(items: readonly Item[], want: string): string[] {
    const { r } = this
    const count = want === 'one' ? 1 : 1 + r.below(3)
    return Array.from({ length: count }, (_, i) => {
      const item = r.pick(items)
      return i === 0 && item.key !== undefined && r.chance(70)
        ? `${item.alias}.${item.key}`
        : this.number(item)
    })
  }

  private aggregates(items: readonly Item[]): string {
    const { r } = this
    return Array.from({ length: 1 + r.below(3) }, () => {
      const column = this.number(r.pick(items))
      const filter = r.chance(20) ? ` FILTER (WHERE ${this.number(r.pick(items))} > ${r.below(6)})` : ''
      return r.chance(30)
        ? `count(*)${filter}`
        : `${r.pick(['count', 'sum', 'min', 'max', 'avg'])}(${column})${filter}`
    }).join(', ')
  }

  private number(item: Source & { alias: string }): string {
    return `${item.alias}.${this.r.pick(item.numbers)}`
  }

  private item(depth: number, before: readonly Item[]): Item {
    const { r } = this
    const alias = `t${this.aliases++}`
    if (this.ctes.length > 0 && r.chance(40)) {
      const cte = this.ctes[0]!
      return { ...cte, alias, text: `${cte.name} ${alias}` }
    }
    if (depth >= 0 && r.chance(32)) {
      const lateral = before.length > 0 && r.chance(40)
      const { text, numbers } = this.select(depth, lateral ? before : [], 'columns')
      const names = numbers.map((_, i) => `n${i}`)
      const source = { name: alias, key: names[0], numbers: names, texts: [] }
      return {
        ...source,
        alias,
        text: `${lateral ? 'LATERAL ' : ''}(${text}) ${alias} (${names.join(', ')})`,
      }
    }
    if (r.chance(5)) {
      const values = Array.from({ length: 1 + r.below(2) }, () => `(${this.value()}, ${this.value()})`).join(
        ', ',
      )
      return {
        name: alias,
        key: 'n0',
        numbers: ['n0', 'n1'],
        texts: [],
        alias,
        text: `(VALUES ${values}) ${alias} (n0, n1)`,
      }
    }
    const table = r.pick(TABLES)
    return { ...table, alias, text: `${table.name} ${alias}` }
  }

  private value(): string {
    return String(1 + this.r.below(6))
  }

  private join(
    from: string,
    item: Item,
    before: readonly Item[],
    outer: readonly Item[],
    depth: number,
  ): string {
    const { r } = this
    const type = r.pick([
      'JOIN',
      'JOIN',
      'LEFT JOIN',
      'LEFT JOIN',
      'RIGHT JOIN',
      'FULL JOIN',
      ',',
      'CROSS JOIN',
    ])
    const isLateral = item.text.startsWith('LATERAL')
    if (type === ',') return `${from}, ${item.text}`
    if (type === 'CROSS JOIN') return `${from} CROSS JOIN ${item.text}`
    const kind = isLateral && (type === 'RIGHT JOIN' || type === 'FULL JOIN') ? 'LEFT JOIN' : type
    const conditions = [this.joinCondition(item, before)]
    if (r.chance(45)) conditions.push(this.condition([item, ...before], outer, depth))
    return `${from} ${kind} ${item.text} ON ${conditions.join(' AND ')}`
  }

  private joinCondition(item: Item, before: readonly Item[]): string {
    const { r } = this
    const other = r.pick(before)
    if (item.key !== undefined && other.key !== undefined && r.chance(75)) {
      const sides = [`${item.alias}.${item.key}`, `${other.alias}.${other.key}`]
      return r.chance(50) ? sides.join(' = ') : sides.reverse().join(' = ')
    }
    return r.chance(10) ? 'true' : `${this.number(item)} = ${this.number(other)}`
  }

  private where(items: readonly Item[], outer: readonly Item[], depth: number, correlated = false): string {
    const { r } = this
    const conditions: string[] = []
    if (correlated) conditions.push(`${this.keyOrNumber(items[0]!)} = ${this.keyOrNumber(r.pick(outer))}`)
    while (r.chance(conditions.length === 0 ? 80 : 50)) conditions.push(this.condition(items, outer, depth))
    return conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
  }

  private condition(items: readonly Item[], outer: readonly Item[], depth: number): string {
    const { r } = this
    const item = r.pick(items)
    const keyed = item.key === undefined ? this.number(item) : `${item.alias}.${item.key}`
    const roll = r.below(100)
    if (roll < 32) return `${keyed} = ${this.value()}`
    if (roll < 36) return `${this.value()} = ${this.number(item)}`
    if (roll < 38) return `${keyed} IN (${this.value()}, ${this.value()})`
    if (roll < 50) return `${keyed} = ${this.keyOrNumber(r.pick([...items, ...outer]))}`
    if (roll < 56) return `${this.number(item)} ${r.pick(['>', '<>', '<='])} ${this.value()}`
    if (roll < 62) return `${this.number(item)} IS ${r.pick(['NULL', 'NOT NULL'])}`
    if (roll < 68)
      return `(${keyed} = ${this.value()} OR ${this.keyOrNumber(r.pick(items))} = ${this.value()})`
    if (roll < 71) return `NOT (${keyed} = ${this.value()})`
    if (roll < 74) return `coalesce(${this.number(item)}, 3) = ${this.value()}`
    if (depth <= 0) return outer.length > 0 ? `${keyed} = ${this.keyOrNumber(r.pick(outer))}` : 'true'
    return this.subquery(items, outer, depth, keyed)
  }

  private keyOrNumber(item: Item): string {
    return item.key !== undefined && this.r.chance(70) ? `${item.alias}.${item.key}` : this.number(item)
  }

  private subquery(items: readonly Item[], outer: readonly Item[], depth: number, keyed: string): string {
    const { r } = this
    const { text } = this.select(depth - 1, [...outer, ...items], 'one')
    const roll = r.below(100)
    if (roll < 30) return `EXISTS (${text})`
    if (roll < 45) return `NOT EXISTS (${text})`
    if (roll < 70) return `${keyed} IN (${text})`
    if (roll < 80) return `${keyed} NOT IN (${text})`
    if (roll < 90) return `${keyed} = (SELECT min(s) FROM (${text}) x (s))`
    return `(${keyed} IN (${text}) OR ${keyed} = ${this.value()})`
  }

  /** UPDATE, DELETE or INSERT … SELECT. */
  write(): string {
    const { r } = this
    const table = r.pick([TABLES[0]!, TABLES[2]!, TABLES[4]!])
    const target: Item = { ...table, alias: 'tt', text: `${table.name} tt` }
    const others = r.chance(40) ? [this.item(0, [])] : []
    const where = this.where([target, ...others], [], 1)
    const joined = others.length > 0 && r.chance(70) ? this.joinCondition(others[0]!, [target]) : 'true'
    const filter = where === '' ? ` WHERE ${joined}` : `${where} AND ${joined}`
    const returning = r.chance(30) ? ` RETURNING tt.${table.key}` : ''
    if (r.chance(50)) {
      const using = others.length > 0 ? ` USING ${others[0]!.text}` : ''
      return `DELETE FROM ${target.text}${using}${filter}${returning}`
    }
    // A value that does not depend on which of several matching rows wins.
    const from = others.length > 0 ? ` FROM ${others[0]!.text}` : ''
    const column = table.texts[0]!
    const value = r.chance(30)
      ? `(SELECT max(i.sku) FROM items i WHERE i.customer_id = tt.${table.key})`
      : `'new'`
    return `UPDATE ${target.text} SET ${column} = ${value}${from}${filter}${returning}`
  }
}

export function randomSelect(seed: number): string {
  return new Maker(seeded(seed)).statement()
}

export function randomWrite(seed: number): string {
  return new Maker(seeded(seed)).write()
}
