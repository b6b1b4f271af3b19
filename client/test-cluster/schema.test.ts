import { expect, test } from 'vitest'
import { withSearchPath } from './schema.ts'

test('a URL with a search_path: a password is left as it is, and drivers read what they should', () => {
  const url = withSearchPath('postgres://ann:a+b%2Bc@127.0.0.1:5432/app?application_name=it', 'test_1')
  expect(url).toBe(
    'postgres://ann:a+b%2Bc@127.0.0.1:5432/app?application_name=it&options=-c%20search_path%3Dtest_1',
  )
})

test('a URL that has options keeps them, and the search_path comes after them', () => {
  const url = withSearchPath('postgres://a/app?options=-c%20search_path%3Dx%20-c%20jit%3Doff', 'test_1')
  expect(new URL(url).searchParams.get('options')).toBe('-c search_path=x -c jit=off -c search_path=test_1')
})
