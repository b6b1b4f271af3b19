/** The tables of random statements. */

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

export type Type = 'number' | 'text'

export interface Table {
  readonly name: string
  readonly key: string | undefined
  readonly keyType: Type
  readonly numbers: readonly string[]
  readonly texts: readonly string[]
  readonly writable?: boolean
}

const orders: Table = {
  name: 'orders',
  key: 'customer_id',
  keyType: 'number',
  numbers: ['customer_id', 'id', 'qty', 'price'],
  texts: ['note'],
  writable: true,
}

export const readable: readonly Table[] = [
  {
    name: 'customers',
    key: 'id',
    keyType: 'number',
    numbers: ['id', 'credit'],
    texts: ['name', 'region'],
    writable: true,
  },
  orders,
  // Twice as often as the others.
  orders,
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

export interface Source extends Table {
  readonly alias: string
}

/** Those that an INSERT names. */
export const COLUMNS: Readonly<Record<string, string>> = {
  customers: 'id, name, region, credit',
  orders: 'customer_id, id, qty, price, note',
  items: 'customer_id, order_id, sku, amount',
  tags: 'tag, id, hits',
  lands: 'code, name, pop',
  notes: 'id, customer_id, body',
}
export const CONFLICT_KEYS: Readonly<Record<string, string>> = {
  customers: 'id',
  orders: 'customer_id, id',
  tags: 'tag',
  lands: 'code',
  notes: 'id',
}
/** What an UPDATE sets. */
export const CHANGED: Readonly<Record<string, string>> = {
  customers: 'credit',
  orders: 'qty',
  items: 'amount',
  tags: 'hits',
  lands: 'name',
  notes: 'body',
}
export const TEXTS: ReadonlySet<string> = new Set(['name', 'region', 'note', 'sku', 'tag', 'code', 'body'])
