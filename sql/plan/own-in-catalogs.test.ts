import { expect, test } from 'vitest'
import { withoutOwnConstraints } from './own-in-catalogs.ts'

const list = (name: string, column: string, columns = '*') =>
  `(SELECT ${columns} FROM ${name} WHERE ${column} <> 'weft_owns_slot')`

test('own constraint: lists of constraints are read without it, under the names they have', () => {
  const constraints = list('pg_catalog.pg_constraint', 'conname')
  expect(withoutOwnConstraints('SELECT r.conname FROM pg_catalog.pg_constraint r WHERE true')).toBe(
    `SELECT r.conname FROM ${constraints} r WHERE true`,
  )
  expect(withoutOwnConstraints('SELECT * FROM pg_class JOIN pg_constraint ON true')).toBe(
    `SELECT * FROM pg_class JOIN ${constraints} AS pg_constraint ON true`,
  )
  expect(withoutOwnConstraints('SELECT 1 FROM information_schema.check_constraints')).toBe(
    `SELECT 1 FROM ${list('information_schema.check_constraints', 'constraint_name')} AS check_constraints`,
  )
  expect(withoutOwnConstraints('SELECT * FROM "pg_catalog"."pg_constraint" "c", "pg_constraint"')).toBe(
    `SELECT * FROM ${constraints} "c", ${constraints} AS pg_constraint`,
  )
  expect(withoutOwnConstraints('SELECT c.tableoid FROM pg_constraint AS c')).toBe(
    `SELECT c.tableoid FROM ${list('pg_catalog.pg_constraint', 'conname', 'tableoid, *')} AS c`,
  )
})

test('own constraint: names of others, system columns and pg_dump: as written', () => {
  for (const text of [
    "SELECT 'pg_constraint'::regclass",
    'SELECT * FROM mine.pg_constraint',
    'WITH pg_constraint AS (SELECT 1) SELECT * FROM pg_constraint',
    'SELECT ctid FROM pg_constraint',
    'SELECT * FROM "PG_CONSTRAINT"',
    "SELECT 1 FROM unnest('{1}'::oid[]) AS src(tbloid) JOIN pg_constraint co ON (src.tbloid = co.conrelid)",
  ]) {
    expect(withoutOwnConstraints(text), text).toBeUndefined()
  }
})
