import type { Catalog, Column, Relation } from '../../../catalog.ts'
import { Lexed } from '../../../lex/lexed.ts'
import { lexStatement } from '../../../lex/scan.ts'
import { offsetMap } from '../../../parse/offsets.ts'
import type { ParsedStatement } from '../../../parse/parse.ts'
import type { Plan, PlanContext } from '../../plan.ts'
import { planStatement } from '../../plan-statement.ts'

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
  procedures: new Map([
    ['keeps', false],
    ['commits', true],
  ]),
}

const ctx: PlanContext = {
  searchPath: ['ann', 'public'],
  tempTables: new Set(['scratch']),
  paramTypes: [],
}

export function planIn(stmt: ParsedStatement): Plan {
  return planStatement(stmt, literalsOf(stmt.text), catalog, ctx)
}

/** As the coordinator numbers them. */
function literalsOf(text: string): { start: number; end: number }[] {
  const bytes = Buffer.from(text)
  const lexed = new Lexed()
  lexStatement(bytes, 0, bytes.length, lexed)
  const map = offsetMap(text)
  return Array.from({ length: lexed.literalCount }, (_, i) => ({
    start: map.toUtf16(lexed.starts[i] ?? 0),
    end: map.toUtf16(lexed.ends[i] ?? 0),
  }))
}
