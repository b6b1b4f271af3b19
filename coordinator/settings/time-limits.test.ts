import { expect, test } from 'vitest'
import { SessionSettings } from './settings.ts'
import { SettingsInterner } from './settings-sql.ts'
import { durationMs, IDLE_TIMEOUT, TimeLimits } from './time-limits.ts'

const session = (startup: Record<string, string> = {}) =>
  new SessionSettings({
    interner: new SettingsInterner(),
    user: 'ann',
    startup: new Map(Object.entries(startup)),
  })

test('time limits: every spelling of a duration; what Postgres would not take is no limit', () => {
  const spelled = ['200', '200ms', '0.2s', ' 5 s ', '2min', '1h', '1d', '1500us', '0', '1e3', '']
  expect(spelled.map(durationMs)).toEqual([
    ...[200, 200, 200, 5000, 120_000, 3_600_000, 86_400_000, 2, 0, 1000, 0],
  ])
  expect(['-1', 'soon', '5 fortnights'].map(durationMs)).toEqual([0, 0, 0])
})

test('time limits: SET over the default, back with ROLLBACK TO, ROLLBACK and RESET', () => {
  const settings = session()
  const limits = new TimeLimits(settings)
  limits.noteDefault(IDLE_TIMEOUT, '1min')
  settings.begin()
  settings.set(IDLE_TIMEOUT, '5s')
  settings.savepoint('s')
  settings.setLocal(IDLE_TIMEOUT, '1s')
  expect(limits.ms(IDLE_TIMEOUT)).toBe(1000)
  settings.rollbackTo('s')
  expect(limits.ms(IDLE_TIMEOUT)).toBe(5000)
  settings.reset(IDLE_TIMEOUT)
  expect([limits.ms(IDLE_TIMEOUT), limits.shown(IDLE_TIMEOUT)]).toEqual([60_000, '1min'])
  settings.rollback()
  expect(limits.shown(IDLE_TIMEOUT)).toBe('1min')
})

test("time limits: the startup packet's value is shown as the server shows it", () => {
  const settings = session({ [IDLE_TIMEOUT]: '60000' })
  const limits = new TimeLimits(settings)
  limits.noteDefault(IDLE_TIMEOUT, '1min')
  expect([limits.ms(IDLE_TIMEOUT), limits.shown(IDLE_TIMEOUT)]).toEqual([60_000, '1min'])
  settings.set(IDLE_TIMEOUT, '0')
  expect([limits.ms(IDLE_TIMEOUT), limits.shown(IDLE_TIMEOUT)]).toEqual([0, '0'])
})
