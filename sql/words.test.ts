import { expect, test } from 'vitest'
import { mayName, wordsOf } from './words.ts'

const names = (text: string) => mayName(text, wordsOf(text), 'orders')

test.each([
  'SELECT 1 FROM orders',
  "EXECUTE format('DELETE FROM %I', 'orders')",
  "EXECUTE 'DELETE FROM app.orders'",
  "SELECT my.current_setting('app.orders')",
  "SELECT current_setting('app.x', (SELECT true FROM orders))",
  "SELECT current_setting(n) FROM (VALUES ('app.orders')) AS v (n)",
  'UPDATE x SET a = 1 FROM orders',
])('%s: may name it', (text) => expect(names(text)).toBe(true))

test.each([
  "SELECT current_setting('app.orders')",
  "tenant = current_setting('app.orders'::text, true)",
  "x = pg_catalog . current_setting ( 'App.Orders' )",
  "PERFORM set_config(E'app.orders', x, true)",
  "EXECUTE 'SELECT current_setting(''app.orders'')'",
  "SET LOCAL app.orders = 'x'; SET app.orders TO x",
])('%s: names a setting', (text) => expect(names(text)).toBe(false))
