import { expect, test } from 'vitest'
import { parse, query } from '../../../protocol/wire/frontend-messages.ts'
import { conforming, hasPlainBackslash, PLAIN_BACKSLASH } from './plain-backslashes.ts'

test('plain backslashes: found in strings of any message, until they are spelt otherwise', () => {
  for (const build of [query, (sql: string) => Buffer.concat([query('SELECT 1'), parse('a', sql)])]) {
    expect(hasPlainBackslash(build("SELECT E'a\\\\b'"))).toBe(false)
    expect(hasPlainBackslash(build("SELECT 'a' /* \\ */"))).toBe(false)
    expect(hasPlainBackslash(build("SELECT 'a\\b'"))).toBe(true)
    expect(hasPlainBackslash(conforming(build("SELECT 'a\\b'")))).toBe(false)
  }
})

test('plain backslashes: what has one is refused as plain_backslash', () => {
  expect(PLAIN_BACKSLASH.fields).toMatchObject({ code: '0A000', routine: 'plain_backslash' })
})
