import { expect, test } from 'vitest'
import { partialTables, tablesInFunctions } from '../../coordinator/catalog/function-bodies.ts'
import { testCatalog } from '../../test/helpers/catalog.ts'
import type { Catalog } from '../catalog.ts'
import { type CodePiece, codeGraph } from '../code/code-graph.ts'
import { keptTables, ownTableError } from './row-code.ts'

/** Tables of the catalog: orders and items are sharded by customer_id together, customers by id. */
function catalogWith(bodies: Readonly<Record<string, string>>, language = 'plpgsql'): Catalog {
  const catalog = testCatalog()
  const pieces = Object.entries(bodies).flatMap(([name, text]): CodePiece[] => [
    { kind: 'function', name, language, text },
    {
      kind: 'trigger',
      name: 'orders',
      language: 'query',
      text: `${name} CREATE TRIGGER t AFTER INSERT OR UPDATE ON public.orders FOR EACH ROW ${name}()`,
    },
  ])
  const tables = tablesInFunctions(new Map(Object.entries(bodies)), catalog.distributed)
  return {
    ...catalog,
    code: codeGraph(pieces, partialTables(catalog.distributed)),
    tableInFunction: (name) => tables.get(name),
  }
}

const kept = (body: string, language?: string) => {
  const tables = keptTables(catalogWith({ f: body }, language), 'INSERT INTO orders VALUES (1)')
  return [...new Set(tables.map(({ name }) => name))].sort().join()
}

test.each([
  ['INSERT INTO items VALUES (NEW.customer_id, 1);', 'items'],
  ['NEW.amount := (SELECT sum(price) FROM items WHERE customer_id = NEW.customer_id);', 'items'],
  ['UPDATE items SET price = 1 WHERE items.customer_id = OLD."customer_id" AND order_id = NEW.id;', 'items'],
  [
    'IF EXISTS (SELECT FROM items i JOIN orders o USING (customer_id) WHERE o.customer_id = new.customer_id) THEN DELETE FROM items WHERE customer_id = NEW.customer_id; END IF;',
    'items,orders',
  ],
  [
    "SELECT price INTO NEW.amount FROM items WHERE customer_id = NEW.customer_id; RAISE NOTICE 'of customers';",
    'items',
  ],
  ['SELECT count(*) INTO n FROM items;', ''],
  ['DELETE FROM items WHERE customer_id = NEW.id;', ''],
  ['DELETE FROM items WHERE customer_id = NEW.customer_id OR price = 0;', ''],
  ['DELETE FROM items WHERE customer_id = v;', ''],
  ['NEW.customer_id := 5; DELETE FROM items WHERE customer_id = NEW.customer_id;', ''],
  ['SELECT 5 INTO NEW.customer_id; DELETE FROM items WHERE customer_id = NEW.customer_id;', ''],
  ['DELETE FROM items WHERE customer_id = NEW.customer_id; DELETE FROM items WHERE price = 0;', ''],
  ["EXECUTE 'x'; DELETE FROM items WHERE customer_id = NEW.customer_id;", ''],
])('%s', (body, tables) => {
  expect(kept(`BEGIN ${body} RETURN NEW; END`)).toBe(tables)
})

test('other languages, and functions that no trigger of a sharded table runs, are not known', () => {
  expect(kept('INSERT INTO items VALUES (NEW.customer_id, 1)', 'sql')).toBe('')
})

test('the own table is named by the key of the row, or not at all', () => {
  const error = (body: string, verb: 'INSERT' | 'DELETE' = 'INSERT') => {
    const catalog = catalogWith({ f: `BEGIN ${body} RETURN NEW; END` })
    const relation = catalog.distributed.find(({ name }) => name === 'orders')
    return ownTableError(catalog, [{ relation, verb }])?.message
  }
  expect(error('NEW.qty := (SELECT count(*) FROM orders);')).toContain(
    'trigger function f() of sharded table "orders"',
  )
  expect(error("EXECUTE 'DELETE FROM orders';")).toContain('names the table itself')
  expect(error('NEW.qty := (SELECT count(*) FROM orders);', 'DELETE')).toBe(undefined)
  expect(error('NEW.qty := (SELECT count(*) FROM orders WHERE customer_id = NEW.customer_id);')).toBe(
    undefined,
  )
  expect(error("RAISE NOTICE 'orders';")).toBe(undefined)
})
