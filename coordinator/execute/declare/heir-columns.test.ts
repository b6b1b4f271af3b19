import { expect, test } from 'vitest'
import { columnsInOrder, type Heir } from './heir-columns.ts'

/** Columns with a dot are the parents' alone. */
const heir = (oid: string, parents: string, columns: string): Heir => ({
  oid,
  parents: parents.split(' ').filter(Boolean),
  columns: columns.split(' ').map((word) => {
    const name = word.replace('.', '')
    return { name, isOwn: name === word, add: `${oid}.${name}` }
  }),
})

const inOrder = (...heirs: Heir[]) => columnsInOrder(heirs)?.join(' ')

test('a child has the columns of its parent first', () => {
  expect(inOrder(heir('p', '', 'a b'), heir('c', 'p', 'a. b. x'))).toBe('p.a p.b c.x')
})

test('a column that the parent was given later comes after those of the child', () => {
  expect(inOrder(heir('p', '', 'a b'), heir('c', 'p', 'a. x b.'))).toBe('p.a c.x p.b')
})

test('a child has its own ahead of what its parent adds', () => {
  expect(inOrder(heir('p', '', 'a b'), heir('c', 'p', 'b x a'))).toBe('c.b c.x c.a p.a p.b')
})

test('two parents, one of which has the column first', () => {
  expect(inOrder(heir('p', '', 'a b'), heir('q', '', 'b a'), heir('c', 'p q', 'a. b. x'))).toBe(
    'p.a p.b q.b q.a c.x',
  )
})

test('a child of children', () => {
  expect(
    inOrder(
      heir('r', '', 'id last'),
      heir('p', 'r', 'id. a last.'),
      heir('q', 'r', 'id. b last.'),
      heir('c', 'p q', 'id. a. b. x last.'),
    ),
  ).toBe('r.id p.a q.b c.x r.last')
})

test('an order that cannot be made is said', () => {
  expect(inOrder(heir('p', '', 'a b'), heir('c', 'p', 'b. a.'))).toBeUndefined()
})
