import { expect, test } from 'vitest'
import { refuseSetting } from './refuse-setting.ts'

test('refuse setting: encodings that are not ASCII-safe: and single-byte ones: refused under every alias', () => {
  const names = [
    'SJIS',
    'shift_jis',
    'BIG5',
    'gbk',
    'WIN936',
    'UHC',
    'gb18030',
    'JOHAB',
    'SHIFT_JIS_2004',
    'latin1',
    'EUC_JP',
    'WIN1252',
  ]
  for (const name of names) expect(refuseSetting('client_encoding', name)?.code, name).toBe('0A000')
  for (const name of ['UTF8', 'unicode', 'SQL_ASCII', 'nonsense', '']) {
    expect(refuseSetting('client_encoding', name), name).toBeUndefined()
  }
})

test('refuse setting: standard_conforming_strings: off in every spelling, nothing else', () => {
  for (const value of ['off', 'OF', 'f', 'No', '0']) {
    expect(refuseSetting('standard_conforming_strings', value)?.code, value).toBe('0A000')
  }
  expect(refuseSetting('standard_conforming_strings', 'on')).toBeUndefined()
  expect(refuseSetting('geqo', 'off')).toBeUndefined()
})
