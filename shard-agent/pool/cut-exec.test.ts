import { expect, test } from 'vitest'
import { bind, close, execute, FLUSH, parse, SYNC } from '../../protocol/wire/frontend-messages.ts'
import { CutExec } from './cut-exec.ts'

function forCut(portal: string): CutExec {
  const payload = Buffer.concat([parse('', 'SELECT 1'), bind({ portal }), execute(portal, 1), SYNC])
  return new CutExec({
    mapVersion: 0,
    settings: { id: 0, sql: '' },
    payload,
    access: 'read',
    pin: false,
    taints: false,
    swallow: 0,
    cut: 'statement',
  })
}

test('cut exec: the snapshot of a named portal is taken anew by another portal of that name', () => {
  const exec = forCut('p')
  const bound = bind({ portal: 'p' })
  expect(exec.snapshotMessages(() => {})).toEqual(Buffer.concat([bound, FLUSH]))
  exec.replied()
  expect(exec.snapshotMessages(() => {})).toEqual(Buffer.concat([close('P', 'p'), bound, FLUSH]))
})

test('cut exec: an unnamed portal takes the place of the one before', () => {
  const exec = forCut('')
  exec.snapshotMessages(() => {})
  exec.replied()
  expect(exec.snapshotMessages(() => {})).toEqual(Buffer.concat([bind({}), FLUSH]))
})
