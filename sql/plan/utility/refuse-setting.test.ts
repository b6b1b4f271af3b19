import { expect, test } from 'vitest'
import { refuseSetting } from './refuse-setting.ts'

test('refuse setting: an encoding that Postgres converts from no other', () => {
  const told = refuseSetting('client_encoding', 'mule-internal')
  expect(told?.fields).toMatchObject({
    code: '0A000',
    message: 'invalid value for parameter "client_encoding": "mule-internal"',
    detail: 'Conversion between MULE_INTERNAL and UTF8 is not supported.',
  })
  for (const name of ['UTF8', 'unicode', 'SQL_ASCII', 'latin1', 'shift_jis', 'WIN936', 'nonsense', '']) {
    expect(refuseSetting('client_encoding', name), name).toBeUndefined()
  }
})
