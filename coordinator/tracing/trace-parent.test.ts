import { expect, it } from 'vitest'
import { query } from '../../protocol/wire/frontend-messages.ts'
import { traceParentIn } from './trace-parent.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'
const PARENT = `traceparent='00-${TRACE}-${SPAN}-01'`

const found = (sql: string) => traceParentIn(Buffer.from(sql))

it.each([
  ['at the end', `SELECT 1 /*${PARENT}*/`],
  ['with a semicolon, and the NUL of a message', `SELECT 1 /*${PARENT}*/ ;\0`],
  ['among others', `SELECT 1 /*db_driver='pg',route='%2Fa%20b',${PARENT}*/`],
  ['at the start', `/* ${PARENT} */ SELECT 1`],
  ['after another comment', `SELECT 1 /* why */ + 2 /*${PARENT}*/`],
])('the trace of a statement: %s', (_, sql) => {
  expect(found(sql)).toEqual({ traceId: TRACE, spanId: SPAN, flags: 1, state: undefined })
})

it('the trace of a statement: at the start of a message Query', () => {
  expect(traceParentIn(query(`/*${PARENT}*/ SELECT 1`))).toMatchObject({ traceId: TRACE, spanId: SPAN })
})

it('the trace of a statement: with the state of those that took part', () => {
  expect(
    found(`SELECT 1 /*${PARENT},tracestate='congo%3Dt61rcWkgMzE%2Crojo%3D00f067aa0ba902b7'*/`),
  ).toMatchObject({
    state: 'congo=t61rcWkgMzE,rojo=00f067aa0ba902b7',
  })
})

it.each([
  ['none', 'SELECT 1'],
  ['one in a string', `SELECT '/*${PARENT}*/'`],
  ['one in the midst', `SELECT 1 /*${PARENT}*/ + 2`],
  ['a version that is not known', `SELECT 1 /*${PARENT.replace('00-', '01-')}*/`],
  ['no hexadecimal number', `SELECT 1 /*${PARENT.replace('0af', 'xyz')}*/`],
  ['zeros, which is none', `SELECT 1 /*traceparent='00-${'0'.repeat(32)}-${SPAN}-01'*/`],
  ['no span', `SELECT 1 /*traceparent='00-${TRACE}-${'0'.repeat(16)}-01'*/`],
  ['broken encoding', "SELECT 1 /*traceparent='%E0%A4%A'*/"],
  ['a comment that does not end', `SELECT 1 /*${PARENT}`],
])('the trace of a statement: %s: no trace', (_, sql) => {
  expect(found(sql)).toBeUndefined()
})
