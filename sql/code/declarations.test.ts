import { expect, test } from 'vitest'
import { declaresByName } from './declarations.ts'

test.each([
  ['BEGIN RETURN 1; END', false],
  ['DECLARE a int; b CONSTANT numeric(10, 2) := 1; r record; c CURSOR FOR SELECT 1; BEGIN END', false],
  ['DECLARE a timestamp with time zone; d double precision; e ALIAS FOR $1; BEGIN END', false],
  ['DECLARE a t.x%TYPE; BEGIN END', true],
  ['DECLARE a t%ROWTYPE; BEGIN END', true],
  ['declare a int;\n-- the mood\n/* of it */ b mood[]; begin end', true],
  ['DECLARE "a b" "Mood"; BEGIN END', true],
  ['DECLARE a CONSTANT mood := 1; BEGIN END', true],
  ['BEGIN DECLARE a int; b mood; BEGIN NULL; END; END', true],
])('types by name: %s', (body, expected) => {
  expect(declaresByName(body)).toBe(expected)
})
