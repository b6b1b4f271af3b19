import { expect, test } from 'vitest'
import { SessionSettings } from './settings.ts'
import { NO_SETTINGS, SettingsInterner } from './settings-sql.ts'

const session = (startup: Record<string, string> = {}, interner = new SettingsInterner()) =>
  new SessionSettings({ interner, user: 'ann', startup: new Map(Object.entries(startup)) })

test('settings: none: the empty object with id 0', () => {
  const s = session()
  expect(s.effective()).toBe(NO_SETTINGS)
  s.set('work_mem', '1MB')
  s.reset('work_mem')
  expect(s.effective()).toBe(NO_SETTINGS)
})

test('settings: equal content of two sessions, set in another order: one object', () => {
  const interner = new SettingsInterner()
  const a = session({ timezone: 'UTC' }, interner)
  const b = session({}, interner)
  a.set('work_mem', '1MB')
  b.set('work_mem', '2MB')
  b.set('timezone', 'UTC')
  expect(b.effective()).not.toBe(a.effective())
  b.set('work_mem', '1MB')
  expect(b.effective()).toBe(a.effective())
  expect(a.effective().sql).toBe(
    "SELECT pg_catalog.set_config('timezone','UTC',false),pg_catalog.set_config('work_mem','1MB',false)",
  )
})

test('settings: quotes and backslashes in values: safe under any standard_conforming_strings', () => {
  const s = session()
  s.set('application_name', "it's \\ odd")
  expect(s.effective().sql).toBe("SELECT pg_catalog.set_config('application_name',E'it''s \\\\ odd',false)")
})

test('settings: more contents than the limit: bounded, ids never repeat', () => {
  const interner = new SettingsInterner({ entriesMax: 3 })
  const s = session({}, interner)
  const ids = new Set<number>()
  for (let n = 0; n < 10; n++) {
    s.set('work_mem', `${n + 1}MB`)
    ids.add(s.effective().id)
  }
  s.set('work_mem', '1MB')
  ids.add(s.effective().id)
  expect(ids.size).toBe(11)
  expect(interner.size).toBe(3)
})

test('settings: reset of a startup value: the startup value again; DISCARD ALL and RESET ALL too', () => {
  const s = session({ timezone: 'UTC' })
  s.set('timezone', 'Asia/Tokyo')
  s.reset('timezone')
  expect(s.get('timezone')).toBe('UTC')
  s.set('timezone', 'Asia/Tokyo')
  s.set('role', 'bob')
  s.resetAll()
  expect([s.get('timezone'), s.get('role')]).toEqual(['UTC', 'bob'])
  s.discardAll()
  expect([s.get('timezone'), s.get('role')]).toEqual(['UTC', undefined])
})

test('settings: SET LOCAL outside a transaction: nothing', () => {
  const s = session()
  s.setLocal('work_mem', '1MB')
  expect(s.get('work_mem')).toBeUndefined()
})

test('settings: SET LOCAL … TO DEFAULT over a session value: hidden until the end', () => {
  const s = session()
  s.set('work_mem', '1MB')
  s.begin()
  s.setLocal('work_mem', null)
  expect(s.effective()).toBe(NO_SETTINGS)
  s.commit()
  expect(s.get('work_mem')).toBe('1MB')
})

test('settings: commit keeps SET and drops SET LOCAL; rollback restores both', () => {
  const s = session()
  s.set('work_mem', '1MB')
  s.begin()
  s.set('work_mem', '2MB')
  s.setLocal('work_mem', '3MB')
  expect(s.get('work_mem')).toBe('3MB')
  s.commit()
  expect(s.get('work_mem')).toBe('2MB')
  s.begin()
  s.set('work_mem', '4MB')
  s.resetAll()
  s.rollback()
  expect(s.get('work_mem')).toBe('2MB')
  expect(s.inTransaction).toBe(false)
})

test('settings: savepoints of one name: the latest is rolled back to, again and again', () => {
  const s = session()
  s.begin()
  s.savepoint('p')
  s.set('work_mem', '1MB')
  s.savepoint('p')
  s.set('work_mem', '2MB')
  s.rollbackTo('p')
  expect(s.get('work_mem')).toBe('1MB')
  s.setLocal('work_mem', '3MB')
  s.rollbackTo('p')
  expect(s.get('work_mem')).toBe('1MB')
  s.release('p')
  s.rollbackTo('p')
  expect(s.get('work_mem')).toBeUndefined()
})

test('settings: SET SESSION AUTHORIZATION: undoes the role, which is restored after it', () => {
  const s = session()
  s.set('role', 'bob')
  s.set('session_authorization', 'eve')
  expect(s.effectiveRole).toBe('eve')
  s.set('role', 'dan')
  expect(s.effective().sql).toBe(
    "SELECT pg_catalog.set_config('session_authorization','eve',false),pg_catalog.set_config('role','dan',false)",
  )
  s.reset('session_authorization')
  expect(s.effectiveRole).toBe('ann')
})

test('settings: set as another role: restored after the role, the rest before it', () => {
  const s = session()
  s.set('work_mem', '1MB')
  s.set('role', 'admin')
  s.set('log_statement', 'all')
  const order = [...s.effective().sql.matchAll(/config\('(\w+)'/g)].map((m) => m[1])
  expect(order).toEqual(['work_mem', 'role', 'log_statement'])
})

test('settings: SET ROLE NONE over a startup role: no role', () => {
  const s = session({ role: 'bob' })
  expect(s.effectiveRole).toBe('bob')
  s.set('role', 'none')
  expect(s.effectiveRole).toBe('ann')
  s.reset('role')
  expect(s.effectiveRole).toBe('bob')
})

test('settings: client_encoding UTF8, or one that the session converts: what every backend has anyway', () => {
  expect(session({ client_encoding: 'UTF8' }).effective()).toBe(NO_SETTINGS)
  expect(session({ client_encoding: 'LATIN1' }).effective()).toBe(NO_SETTINGS)
  expect(session({ client_encoding: 'SQL_ASCII' }).effective()).not.toBe(NO_SETTINGS)
})
