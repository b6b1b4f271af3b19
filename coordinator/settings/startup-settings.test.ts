import { expect, test } from 'vitest'
import { PgError } from '../../errors/pg-error.ts'
import { splitOptions, startupSettings } from './startup-settings.ts'

const settingsOf = (packet: Record<string, string>) =>
  Object.fromEntries(startupSettings(new Map(Object.entries(packet))))

const failure = (packet: Record<string, string>): PgError => {
  try {
    settingsOf(packet)
  } catch (error) {
    if (error instanceof PgError) return error
  }
  throw new Error('did not fail')
}

test('startup settings: packet keys: all but user, database, replication and protocol options', () => {
  const packet = {
    ...{ user: 'ann', database: 'shop', replication: 'false', '_pq_.command_tag': 'x' },
    ...{ application_name: 'psql', DateStyle: 'ISO', TimeZone: 'UTC', 'myapp.User': '7' },
  }
  expect(settingsOf(packet)).toEqual({
    ...{ application_name: 'psql', datestyle: 'ISO', timezone: 'UTC', 'myapp.user': '7' },
  })
})

test('startup settings: options: every spelling; the packet wins over them', () => {
  const options = '-c work_mem=1MB  --statement-timeout=5s -cgeqo=off --search_path=a,\\ b -c TimeZone=UTC'
  expect(settingsOf({ user: 'ann', options, TimeZone: 'Asia/Tokyo' })).toEqual({
    ...{ work_mem: '1MB', statement_timeout: '5s', geqo: 'off', search_path: 'a, b', timezone: 'Asia/Tokyo' },
  })
})

test('startup settings: options: backslashes as pg_split_opts reads them', () => {
  expect(splitOptions(' a\\ b\tc\\\\d  e\\')).toEqual(['a b', 'c\\d', 'e'])
})

test('startup settings: options Postgres would reject: FATAL 42601', () => {
  for (const options of ['-c work_mem', '--work-mem', '-c', '-B 100', 'x', '-c =1']) {
    expect(failure({ options }).fields, options).toMatchObject({ code: '42601', severity: 'FATAL' })
  }
})

test('startup settings: what Weft cannot carry: FATAL 0A000', () => {
  const fatal = { code: '0A000', severity: 'FATAL' }
  const message = 'conversion between MULE_INTERNAL and UTF8 is not supported'
  expect(failure({ client_encoding: 'mule_internal' }).fields).toMatchObject({ ...fatal, message })
})
