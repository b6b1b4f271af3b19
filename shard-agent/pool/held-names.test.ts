import { expect, test } from 'vitest'
import type { CustomNames } from '../../protocol/agent-link.ts'
import { HeldNames } from './held-names.ts'

const settings = (custom: Partial<CustomNames>) => ({
  id: 1,
  sql: '',
  custom: { own: [], asks: [], sets: [], ...custom },
})

test('a backend does for whoever asks for names that nobody has had there', () => {
  const held = new HeldNames()
  held.note(settings({ own: ['a.x'], sets: ['a.y'] }))
  held.note({ id: 0, sql: '' })
  expect(held.fits({ id: 0, sql: '' })).toBe(true)
  expect(held.fits(settings({ own: ['a.z'], sets: ['a.x'] }))).toBe(true)
  expect(held.fits(settings({ asks: ['b.x', 'a.y'] }))).toBe(false)
  expect(held.fits(settings({ asks: ['b.x'] }))).toBe(true)
  expect(held.fits(settings({ asks: ['*'] }))).toBe(false)
  expect(held.fits(settings({ own: ['a.x', 'a.y', 'a.z'], asks: ['*'] }))).toBe(true)
})

test('names of which only the beginning is known; more names than are kept', () => {
  const held = new HeldNames()
  held.note(settings({ own: ['a.x'], sets: ['b.*'] }))
  expect(held.fits(settings({ asks: ['b.*', 'aa.*'] }))).toBe(true)
  expect(held.fits(settings({ asks: ['a.*'] }))).toBe(false)
  expect(held.fits(settings({ own: ['a.x'], asks: ['a.*'] }))).toBe(true)
  held.note(settings({ own: Array.from({ length: 600 }, (_, i) => `n.${i}`) }))
  expect(held.fits(settings({ asks: ['z.z'] }))).toBe(false)
  expect(held.fits(settings({ own: ['z.z'] }))).toBe(true)
})

test('what may have been set counts until somebody has looked', () => {
  const held = new HeldNames()
  const maySet = settings({ asks: ['a.x'], sets: ['a.x', 'b.*'] })
  held.note(maySet)
  expect(held.fits(settings({ asks: ['a.x'] }))).toBe(false)
  held.lookedAt()
  expect(held.fits(settings({ asks: ['a.x'] }))).toBe(true)
  held.note(maySet)
  expect(held.fits(settings({ asks: ['a.x'] }))).toBe(false)
  held.note(settings({ own: ['a.x'] }))
  held.lookedAt()
  expect(held.fits(settings({ asks: ['a.x'] }))).toBe(false)
})
