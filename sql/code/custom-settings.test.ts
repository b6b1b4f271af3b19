import { expect, test } from 'vitest'
import { customUseIn, isAmong, namesPutTogether, stringsIn } from './custom-settings.ts'

const asks = (text: string) => customUseIn(text).asks
const sets = (text: string) => customUseIn(text).sets

test('custom settings that a text asks for', () => {
  expect(asks("SELECT current_setting('App.Tenant', true), pg_catalog.current_setting ( E'app.b' )")).toEqual(
    ['app.tenant', 'app.b'],
  )
  expect(asks("(tenant = current_setting('app.tenant'::text, true))")).toEqual(['app.tenant'])
  expect(asks("SELECT current_setting('search_path'), work_mem FROM t")).toEqual([])
  expect(asks('SELECT current_setting($1, true)')).toEqual(['$1'])
  expect(asks("SELECT current_setting('App.' || name, true)")).toEqual(['app.*'])
  expect(asks('SELECT current_setting(name, true)')).toEqual(['*'])
  expect(asks("SELECT current_setting /* c */ ('app.a')")).toEqual(['*'])
  expect(asks("EXECUTE 'SELECT current_setting(''app.a'')'")).toEqual(['app.a'])
  expect(asks('SHOW app."Tenant"')).toEqual(['app.tenant'])
  expect(asks("EXECUTE 'SHOW app.' || name")).toEqual(['*'])
  expect(asks('SHOW work_mem')).toEqual([])
  expect(asks('CREATE FUNCTION f() RETURNS int SET app.a FROM CURRENT')).toEqual(['app.a'])
})

test('custom settings that a text gives a value', () => {
  expect(sets("PERFORM set_config('app.a', 'x', true), set_config('work_mem', '1MB', true)")).toEqual([
    'app.a',
  ])
  expect(sets("PERFORM set_config('app.'::text || k, v, true), set_config('a' || k, v, true)")).toEqual([
    'app.*',
    '*',
  ])
  expect(sets('SET LOCAL app.a = 1; RESET app.b; SET SESSION "App".c TO DEFAULT')).toEqual([
    'app.a',
    'app.b',
    'app.c',
  ])
  expect(sets("EXECUTE 'SET app.' || k || ' = 1'")).toEqual(['*'])
  expect(sets("EXECUTE format('SET LOCAL %s = %L', k, v)")).toEqual(['*'])
  expect(sets("EXECUTE format('UPDATE %I SET %I = 1', t, c)")).toEqual([])
  expect(sets('UPDATE t SET a = 1; SET weft.consistent_reads = off')).toEqual([])
})

test('names put together', () => {
  const text = "SELECT set_ctx('tenant', 'a b'), 'c'"
  expect(namesPutTogether(['app.*', '*', 'app.x'], stringsIn(text))).toEqual(['app.tenant', 'app.c'])
  expect(isAmong('app.tenant', ['x.y', 'app.*'])).toBe(true)
  expect(isAmong('apps.tenant', ['app.tenant', 'app.*'])).toBe(false)
})
