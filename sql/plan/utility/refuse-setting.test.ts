import { expect, test } from 'vitest'
import { refuseSetting } from './refuse-setting.ts'

test('refuse setting: encodings of several bytes to a character: refused under every alias; others are not', () => {
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
    'EUC_JP',
  ]
  for (const name of names) expect(refuseSetting('client_encoding', name)?.code, name).toBe('0A000')
  for (const name of ['UTF8', 'unicode', 'SQL_ASCII', 'latin1', 'WIN1252', 'nonsense', '']) {
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
