import { expect, test } from 'vitest'
import { edited, rewritten } from './edited-text.ts'

const TEXT = `INSERT INTO t VALUES ('😀', $12, a), ($3, $12, b)`

function at(text: string, what: string): number {
  return [...text.slice(0, text.indexOf(what))].length + 1
}

test('edited text: parameters are numbered anew, without gaps', () => {
  const { sql, params } = rewritten(TEXT, edited(TEXT, 0, TEXT.length, []))
  expect(sql).toBe(`INSERT INTO t VALUES ('😀', $1, a), ($2, $1, b)`)
  expect(params).toEqual([12, 3])
})

test('edited text: what looks like a parameter in a string or a name is none', () => {
  const text = `SELECT '$1', "$2", $tag$ $3 $tag$, a$4, $5`
  const { sql, params } = rewritten(text, edited(text, 0, text.length, []))
  expect(sql).toBe(`SELECT '$1', "$2", $tag$ $3 $tag$, a$4, $1`)
  expect(params).toEqual([5])
})

test('edited text: places of errors are those in the text as it was', () => {
  const [start, end] = [TEXT.indexOf('($3'), TEXT.length]
  const edits = [
    { start: TEXT.indexOf('$3'), end: TEXT.indexOf('$3'), text: 'CASE WHEN (' },
    { start: TEXT.indexOf('$3'), end: TEXT.indexOf('$3') + 2, text: `'long literal'` },
    { start: TEXT.indexOf('$3') + 2, end: TEXT.indexOf('$3') + 2, text: ') END' },
  ]
  const pieces = [...edited(TEXT, 0, TEXT.indexOf('('), []), ...edited(TEXT, start, end, edits)]
  const { sql, params, positionBefore } = rewritten(TEXT, pieces)
  expect(sql).toBe(`INSERT INTO t VALUES (CASE WHEN ('long literal') END, $1, b)`)
  expect(params).toEqual([12])
  expect(positionBefore(at(sql, 't VALUES'))).toBe(at(TEXT, 't VALUES'))
  expect(positionBefore(at(sql, 'b)'))).toBe(at(TEXT, 'b)'))
  expect(positionBefore(at(sql, `'long`))).toBe(at(TEXT, '$3'))
  expect(positionBefore(at(sql, 'literal'))).toBe(at(TEXT, '$3'))
  expect(positionBefore(at(sql, '$1'))).toBe(at(TEXT, '$12, b'))
  expect(positionBefore(sql.length + 1)).toBe([...TEXT].length + 1)
})
