import { expect, test } from 'vitest'
import { withSearchPath } from './schema.ts'

test('a URL with a search_path: a password is left as it is, and drivers read what they should', () => {
  const url = withSearchPath('postgres://ann:a+b%2Bc@127.0.0.1:5432/app?application_name=it', 'test_1')
  expect(url).toBe(
    'postgres://ann:a+b%2Bc@127.0.0.1:5432/app?application_name=it&options=-c%20search_path%3Dtest_1',
  )
})
