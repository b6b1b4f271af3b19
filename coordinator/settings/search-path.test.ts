import { expect, test } from 'vitest'
import { parseSearchPath } from './search-path.ts'

test.each([
  ['"$user", public', ['ann', 'public']],
  ['$user,public', ['ann', 'public']],
  ['', []],
  ['  ', []],
  ['""', ['']],
  ['Foo, "Foo", "a""b" ,  x', ['foo', 'Foo', 'a"b', 'x']],
  ['Ärger', ['Ärger']],
  ['x y', undefined],
  ['a,', undefined],
  [',a', undefined],
  ['"open', undefined],
  ['a"b', ['a"b']],
  [`${'ä'.repeat(40)}`, ['ä'.repeat(31)]],
])('search path: %j: %j', (value, expected) => {
  expect(parseSearchPath(value, 'ann')).toEqual(expected)
})
