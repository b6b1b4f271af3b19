import type { Catalog, Column, Relation } from '../../../catalog.ts'
import type { ParsedStatement } from '../../../parse/parse.ts'
import type { Plan, PlanContext } from '../../plan.ts'
import { planUtility } from '../plan-utility.ts'
import { common, forwardHome, refuse } from '../plans.ts'
import { usesOf } from '../scope.ts'

/** The database that `testdata/*.txt` is about. */

let lastOid = 16384

function column(name: string, type = 'bigint', extra: Partial<Column> = {}): Column {
  const usesSequence = extra.default?.includes('nextval') ?? false
  return { name, type, typeOid: 20, notNull: false, usesSequence, generated: false, ...extra }
}

type Extra = Partial<Pick<Relation, 'schema' | 'colocation' | 'definition'>>

function relation(
  name: string,
  kind: Relation['kind'],
  columns: readonly Column[],
  extra: Extra = {},
): Relation {
  const [first] = columns
  const key =
    kind === 'sharded' && first ? { column: first.name, index: 0, type: 'int8' as const } : undefined
  const colocation = kind === 'sharded' ? { colocation: extra.colocation ?? 1 } : {}
  return {
    ...{ oid: lastOid++, schema: extra.schema ?? 'public', name, kind, columns },
    ...(key === undefined ? {} : { key }),
    ...colocation,
    ...(extra.definition === undefined ? {} : { definition: extra.definition }),
  }
}

const plain = [column('id'), column('name', 'text')]

const relations: readonly Relation[] = [
  relation('customers', 'sharded', [
    column('id', 'bigint', { default: "nextval('customers_id_seq'::regclass)" }),
    column('name', 'text'),
  ]),
  relation('orders', 'sharded', [
    column('customer_id'),
    column('id', 'bigint', { default: "nextval('orders_id_seq'::regclass)" }),
    column('total', 'numeric', { default: '0' }),
    column('made', 'timestamp with time zone', { default: 'now()' }),
    column('gross', 'numeric', { generated: true, default: '(total * 1.2)' }),
  ]),
  relation('events', 'sharded', plain, { colocation: 2 }),
  relation('Odd "name"', 'sharded', plain, { schema: 'Weird' }),
  relation('countries', 'reference', [
    column('code', 'text'),
    column('seen', 'date', { default: 'CURRENT_DATE' }),
  ]),
  relation('rates', 'reference', plain, { schema: 'ref' }),
  relation('logs', 'local', []),
  relation('notes', 'local', []),
  relation('logs_id_seq', 'local', []),
  relation('big_orders', 'view', plain, { definition: 'SELECT id FROM public.orders WHERE total > 9' }),
  relation('big_views', 'view', plain, { definition: 'SELECT id FROM public.big_orders' }),
  relation('recent_logs', 'view', plain, { definition: 'SELECT id FROM public.logs' }),
  relation('constants', 'view', plain, { definition: 'SELECT 1 AS id' }),
]

export const catalog: Catalog = {
  version: 7,
  shardCount: 3,
  slots: new Uint16Array(4096),
  resolve: (schema, name, searchPath) =>
    (schema === undefined ? searchPath : [schema])
      .map((s) => relations.find((r) => r.schema === s && r.name === name))
      .find((r) => r !== undefined),
  distributed: relations.filter((r) => r.kind === 'sharded' || r.kind === 'reference'),
  isUserFunction: (name) => name === 'my_function',
}

const ctx: PlanContext = {
  searchPath: ['ann', 'public'],
  tempTables: new Set(['scratch']),
  paramTypes: [],
}

export function planIn(stmt: ParsedStatement, shop: Catalog = catalog): Plan {
  return planUtility(stmt, shop, ctx, (inner) => planInner(inner, shop))
}

/** Enough of a planner for the statements inside others: by the kinds of the tables, and whether `= 1` restricts them. */
function planInner(stmt: ParsedStatement, shop: Catalog): Plan {
  if (stmt.kind !== 'SelectStmt') {
    const isUtility = stmt.kind === 'CreateTableAsStmt' || stmt.kind === 'DeclareCursorStmt'
    return isUtility
      ? planIn(stmt, shop)
      : forwardHome(stmt.kind === 'UpdateStmt' ? 'UPDATE' : stmt.kind, { returnsRows: true })
  }
  const uses = usesOf({ stmt, catalog: shop, ctx, planInner: (inner) => planInner(inner, shop) }, stmt.node)
  const paramCount = stmt.text.includes('$1') ? 1 : 0
  const fields = { ...common('SELECT', { returnsRows: true, paramCount }), kind: 'forward' as const }
  const { onSeveral } = forwardHome('SELECT')
  if (uses.sharded.length === 0) {
    const home = uses.reference.length === 0 || uses.local.length > 0
    return { ...fields, route: { kind: home ? 'home' : 'any' }, onSeveral }
  }
  if (uses.local.length > 0) return refuse('SELECT', 'joins of sharded and local tables are not supported')
  if (!/= (1|\$1)/.test(stmt.text)) {
    const merges = /ORDER BY/i.test(stmt.text)
    return { ...fields, route: { kind: 'all' }, onSeveral: merges ? onSeveral : { kind: 'concat' } }
  }
  const value = { source: { kind: 'constant' as const, value: null } }
  return {
    ...fields,
    route: { kind: 'keys', restrictions: [{ keyType: 'int8', values: [value] }] },
    onSeveral: { kind: 'concat' },
  }
}
