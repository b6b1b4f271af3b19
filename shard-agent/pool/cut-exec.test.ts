import { expect, test } from 'vitest'
import { bind, close, execute, FLUSH, parse, SYNC } from '../../protocol/wire/frontend-messages.ts'
import { CutExec } from './cut-exec.ts'

function forCut(portal: string): CutExec {
  return ofPayload([parse('', 'SELECT 1'), bind({ portal }), execute(portal, 1), SYNC])
}

function ofPayload(messages: readonly Buffer[], cut: 'statement' | 'transaction' = 'statement'): CutExec {
  const payload = Buffer.concat(messages)
  return new CutExec({
    mapVersion: 0,
    settings: { id: 0, sql: '' },
    payload,
    access: 'read',
    pin: false,
    taints: false,
    swallow: 0,
    cut,
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

test('cut exec: a named portal does not stay when it is not to run', () => {
  const exec = forCut('p')
  expect(exec.undoMessages).toEqual(SYNC)
  exec.snapshotMessages(() => {})
  expect(exec.undoMessages).toEqual(Buffer.concat([close('P', 'p'), SYNC]))
})

test('cut exec: a DECLARE is executed ahead, and again whenever a snapshot is taken', () => {
  const parsed = parse('', 'DECLARE c CURSOR FOR SELECT 1')
  const exec = ofPayload([parsed, close('P', 'c'), bind({}), execute('', 0), SYNC])
  expect(Buffer.concat(exec.ahead(false))).toEqual(Buffer.concat([parsed, bind({}), execute('', 0)]))
  const anew = Buffer.concat([close('P', 'c'), bind({}), execute('', 0), FLUSH])
  let taken = 0
  for (let n = 1; n <= 2; n++) {
    expect(exec.snapshotMessages(() => taken++)).toEqual(anew)
    exec.replied()
    expect(exec.isBound).toBe(false)
    exec.replied()
    expect([exec.isBound, taken]).toEqual([true, n])
  }
  expect(exec.runMessages).toEqual(SYNC)
  expect(exec.undoMessages).toEqual(Buffer.concat([close('P', 'c'), SYNC]))
})

test('cut exec: a DECLARE that the backend has prepared', () => {
  const exec = ofPayload([close('P', 'c'), bind({ statement: 's' }), execute('', 0), SYNC])
  expect(exec.ahead(false)).toEqual([bind({ statement: 's' }), execute('', 0)])
})

test('cut exec: what opens a transaction is sent whole under the hold, a Close in it too', () => {
  const [parsed, closing, bound] = [parse('', 'SELECT 1'), close('P', 'p'), bind({ portal: 'p' })]
  const exec = ofPayload([parsed, closing, bound, execute('p', 1), SYNC], 'transaction')
  expect(exec.ahead(false)).toEqual([])
  expect(exec.snapshotMessages(() => {})).toEqual(Buffer.concat([parsed, closing, bound, FLUSH]))
  for (let reply = 1; reply <= 3; reply++) {
    expect(exec.isBound).toBe(false)
    exec.replied()
  }
  expect(exec.isBound).toBe(true)
  expect(exec.runMessages).toEqual(Buffer.concat([execute('p', 1), SYNC]))
})
