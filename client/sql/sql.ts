import { type Param, Sql } from './fragment.ts'

/** What may stand in `${…}` of a statement: a value, which is sent beside the text, or a part that was made by `sql`. */
export type { Param, Value } from './fragment.ts'

/** A row of which nothing more is known: values by column name. */
export type AnyRow = Record<string, unknown>

/** The tag, with its helpers. */
export interface SqlTag {
  <Row extends object = AnyRow>(texts: TemplateStringsArray, ...params: readonly Param[]): Sql<Row>

  /**
   * A name, quoted: of a column, or with several parts of a table in a schema.
   *
   * @throws TypeError for an empty part, or one with a NUL.
   * @example sql`SELECT ${sql.id('orders', 'id')} FROM ${sql.id('shop', 'orders')}`
   */
  id(...path: readonly [string, ...string[]]): Sql

  /**
   * Values or fragments with a separator between them, `, ` by default.
   *
   * @throws TypeError when there are none: `IN ()` is no SQL; write the other case out.
   * @example sql`SELECT * FROM orders WHERE ${sql.join([sql`a = ${1}`, sql`b = ${2}`], sql` AND `)}`
   */
  join(items: readonly Param[], separator?: Sql): Sql

  /**
   * Rows of a VALUES list. A statement has 65,535 parameters at most: use arrays with `unnest`, or COPY, for more.
   *
   * @throws TypeError when there are none, or one is empty.
   * @example sql`INSERT INTO orders (id, amount) VALUES ${sql.rows([[1, 10], [2, 20]])}`
   */
  rows(rows: readonly (readonly Param[])[]): Sql

  /**
   * A value as JSON, for arrays and texts that a json column shall have: without it an array is one of Postgres'.
   *
   * @throws TypeError for what has no JSON (a bigint, a circle).
   * @example sql`UPDATE orders SET tags = ${sql.json(['new', 'large'])} WHERE id = ${1}`
   */
  json(value: unknown): Sql

  /**
   * Nothing: the other arm of a condition.
   *
   * @example sql`SELECT * FROM orders ${onlyOpen ? sql`WHERE open` : sql.empty}`
   */
  readonly empty: Sql
}

/**
 * A statement, or a part of one. What stands in `${…}` is never read as SQL: values are sent as parameters, fragments
 * made by `sql` are put in with theirs.
 *
 * @throws TypeError for `undefined`, functions and promises in `${…}`, and when it is not used as a tag.
 * @example
 * const open = sql`state = ${'open'}`
 * const rows = await db.many(sql<{ id: string }>`SELECT id FROM orders WHERE ${open} AND id = ANY(${[1, 2]})`)
 */
export const sql: SqlTag = Object.assign(
  <Row extends object = AnyRow>(texts: TemplateStringsArray, ...params: readonly Param[]): Sql<Row> => {
    if (!Array.isArray(texts) || !Array.isArray(texts.raw)) {
      throw new TypeError('sql is a tag: write sql`…`, not sql(…)')
    }
    return new Sql<Row>(texts, params)
  },
  {
    id: (...path: readonly [string, ...string[]]): Sql => Sql.verbatim(path.map(quoteName).join('.')),
    join: (items: readonly Param[], separator = Sql.verbatim(', ')): Sql => {
      if (items.length === 0) throw new TypeError('sql.join of nothing: write the statement without it')
      const params = items.flatMap((item, i) => (i === 0 ? [item] : [separator, item]))
      return new Sql(new Array<string>(params.length + 1).fill(''), params)
    },
    rows: (rows: readonly (readonly Param[])[]): Sql =>
      sql.join(rows.map((row) => new Sql(['(', ')'], [sql.join(row)]))),
    json: (value: unknown): Sql => {
      const text = JSON.stringify(value)
      if (text === undefined) throw new TypeError('sql.json: the value has no JSON')
      return new Sql(['', ''], [text])
    },
    empty: Sql.verbatim(''),
  },
)

function quoteName(name: string): string {
  if (typeof name !== 'string' || name === '' || name.includes('\0')) {
    throw new TypeError('sql.id takes names that are not empty and without NUL')
  }
  return `"${name.replaceAll('"', '""')}"`
}
