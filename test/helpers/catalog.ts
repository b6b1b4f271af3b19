import { type Catalog, type Column, type KeyType, type Relation, SLOT_COUNT } from '../../sql/catalog.ts'

/** A fixed catalog for planner tests; `SCHEMA_SQL` makes the same tables on a real Postgres. */

const OIDS: Readonly<Record<string, number>> = {
  bigint: 20,
  integer: 23,
  smallint: 21,
  text: 25,
  'character varying': 1043,
  numeric: 1700,
  uuid: 2950,
  boolean: 16,
  'timestamp with time zone': 1184,
  date: 1082,
  real: 700,
  'double precision': 701,
  interval: 1186,
  jsonb: 3802,
}

/** `name type [not null] [serial | identity | default …]`, one column per line. */
function column(line: string): Column {
  const [, name, rest] = /^(\w+) (.*)$/.exec(line.trim())!
  const [definition, expression] = rest!.split(' default ')
  const type = definition!.replace(/ (not null|serial|identity always|identity|generated|collate .*)/g, '')
  const sequence = /serial|identity/.test(definition!)
  const collation = / collate (\S+)/.exec(definition!)?.[1]
  const value = sequence ? `nextval('${name}_seq'::regclass)` : expression
  return {
    name: name!,
    type,
    typeOid: OIDS[type] ?? 0,
    notNull: definition!.includes('not null') || sequence,
    usesSequence: sequence,
    generated: definition!.includes('generated'),
    ...(value === undefined ? {} : { default: value }),
    ...(definition!.includes('identity')
      ? { identity: definition!.includes('always') ? ('always' as const) : ('by default' as const) }
      : {}),
    ...(collation === undefined ? {} : { collation }),
  }
}

const columns = (text: string): Column[] =>
  text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map(column)

let nextOid = 16_400

interface Placing {
  readonly key?: string
  readonly type?: KeyType
  readonly colocation?: number
  readonly kind?: Relation['kind']
  readonly definition?: string
  readonly schema?: string
  readonly typmod?: number
  readonly primaryKey?: readonly string[]
}

function relation(name: string, text: string, placing: Placing): Relation {
  const list = columns(text)
  const index = list.findIndex((c) => c.name === placing.key)
  const base = { oid: nextOid++, schema: placing.schema ?? 'public', name, columns: list }
  if (placing.key === undefined) {
    const { kind = 'local', definition } = placing
    return { ...base, kind, ...(definition === undefined ? {} : { definition }) }
  }
  const { typmod, primaryKey } = placing
  const key = { column: placing.key, index, type: placing.type!, ...(typmod === undefined ? {} : { typmod }) }
  const keys = primaryKey === undefined ? {} : { primaryKey }
  return { ...base, kind: 'sharded', key, colocation: placing.colocation!, ...keys }
}

const ORDERS = `
  customer_id bigint not null
  id bigint serial
  amount numeric
  qty integer
  note text
  created_at timestamp with time zone default now()`

const RELATIONS: readonly Relation[] = [
  relation('orders', ORDERS, { key: 'customer_id', type: 'int8', colocation: 1 }),
  relation(
    'items',
    `customer_id bigint not null
     order_id bigint not null
     sku text
     price double precision
     weight real
     span interval`,
    { key: 'customer_id', type: 'int8', colocation: 1 },
  ),
  // Keys of another name and of a type that only compares alike.
  relation('customers', 'id bigint not null\nname text\nregion text\nparent bigint', {
    key: 'id',
    type: 'int8',
    colocation: 1,
    primaryKey: ['id'],
  }),
  relation('ledger', 'account bigint not null\nid bigint identity always\nowner integer', {
    key: 'account',
    type: 'int8',
    colocation: 1,
  }),
  relation('users', 'id uuid not null default gen_random_uuid()\nname text\nage smallint', {
    key: 'id',
    type: 'uuid',
    colocation: 2,
  }),
  relation(
    'events',
    'tenant text not null\nid bigint\nkind character varying\nat date\ntitle text collate "C"',
    {
      key: 'tenant',
      type: 'text',
      colocation: 3,
    },
  ),
  relation('tickets', 'id bigint serial\nsubject text', { key: 'id', type: 'int8', colocation: 4 }),
  relation('codes', 'code character varying not null\nmeaning text', {
    key: 'code',
    type: 'varchar',
    colocation: 5,
    typmod: 12,
  }),
  relation('countries', 'code text not null\nname text\nid integer', { kind: 'reference' }),
  relation(
    'rates',
    'id integer serial\ncode text not null\nrate numeric\nseen timestamp with time zone default now()',
    {
      kind: 'reference',
    },
  ),
  relation('settings', 'name text not null\nvalue text', {}),
  relation('log', 'id bigint serial\nline text', { schema: 'audit' }),
  relation('order_view', 'customer_id bigint\nid bigint\ntotal numeric', {
    kind: 'view',
    definition: ' SELECT customer_id, id, amount AS total FROM public.orders WHERE (qty > 0);',
  }),
  relation('order_items', 'customer_id bigint\nsku text', {
    kind: 'view',
    definition:
      ' SELECT o.customer_id, i.sku FROM (public.orders o JOIN public.items i ON (((i.customer_id = o.customer_id) AND (i.order_id = o.id))));',
  }),
  relation('order_totals', 'customer_id bigint\ntotal numeric', {
    kind: 'view',
    definition: ' SELECT customer_id, sum(amount) AS total FROM public.orders GROUP BY customer_id;',
  }),
  relation('newest_orders', 'customer_id bigint\nid bigint', {
    kind: 'view',
    definition: ' SELECT customer_id, id FROM public.orders ORDER BY created_at DESC LIMIT 10;',
  }),
  relation('recent_orders', 'customer_id bigint\nid bigint', {
    kind: 'view',
    definition:
      " SELECT customer_id, id FROM public.orders WHERE (created_at > (now() - '1 day'::interval));",
  }),
  relation('setting_view', 'name text', {
    kind: 'view',
    definition: ' SELECT name FROM public.settings;',
  }),
  relation('country_view', 'code text\nname text', {
    kind: 'view',
    definition: ' SELECT code, name FROM public.countries;',
  }),
]

const USER_FUNCTIONS: ReadonlySet<string> = new Set(['do_things', 'my_total'])

export function testCatalog(extra: readonly Relation[] = []): Catalog {
  const relations = [...extra, ...RELATIONS]
  const slots = Uint16Array.from({ length: SLOT_COUNT }, (_, slot) => Math.floor((slot * 3) / SLOT_COUNT))
  return {
    version: 1,
    shardCount: 3,
    slots,
    distributed: relations.filter((r) => r.kind === 'sharded' || r.kind === 'reference'),
    resolve(schema, name, searchPath) {
      const schemas = schema === undefined ? searchPath : [schema]
      for (const s of schemas) {
        const found = relations.find((r) => r.schema === s && r.name === name)
        if (found) return found
      }
      return undefined
    },
    hasName: (name) => relations.some((r) => r.name === name && r.kind !== 'local'),
    isUserFunction: (name) => USER_FUNCTIONS.has(name),
  }
}
