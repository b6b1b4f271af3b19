import { expect, test } from 'vitest'
import { COPY_DONE, copyData, SYNC } from '../../protocol/wire/frontend-messages.ts'
import { CopyStream } from './copy-stream.ts'

const whole = Buffer.concat([copyData('first\n'), copyData('second row\n'), COPY_DONE, SYNC])

test('copy stream: every split point: all bytes go, the Sync is found', () => {
  for (let at = 0; at <= whole.length; at++) {
    const stream = new CopyStream()
    const first = stream.push(whole.subarray(0, at))
    const foundFirst = stream.syncAt
    const second = stream.push(whole.subarray(at))
    expect(Buffer.concat([first, second])).toEqual(whole)
    const syncAt = foundFirst >= 0 ? foundFirst : first.length + stream.syncAt
    expect(syncAt).toBe(whole.length - SYNC.length)
    expect(stream.sawEnd).toBe(true)
    expect(stream.left).toBe(0)
  }
})

test('copy stream: cut inside a message: the rest is known', () => {
  const stream = new CopyStream()
  stream.push(copyData('0123456789').subarray(0, 9))
  expect(stream.left).toBe(6)
  expect(stream.sawEnd).toBe(false)
})

test('copy stream: cut inside a header: nothing of it goes', () => {
  const stream = new CopyStream()
  expect(stream.push(whole.subarray(0, 3)).length).toBe(0)
  expect(stream.left).toBe(0)
})
