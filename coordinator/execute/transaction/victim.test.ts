import { expect, it } from 'vitest'
import { PgError } from '../../../errors/pg-error.ts'
import { commandComplete, errorResponse, readyForQuery } from '../../../protocol/wire/backend-messages.ts'
import { withoutCancel } from './victim.ts'

const victim = new PgError({ code: '40P01', message: 'deadlock detected' })
const told = errorResponse(victim.fields)
const ready = readyForQuery(0x45)

function failed(code: string): Buffer {
  return errorResponse({ code, message: 'an ERROR' })
}

it('withoutCancel: the answer to a cancel request: replaced', () => {
  expect(withoutCancel(Buffer.concat([failed('57014'), ready]), victim)).toEqual(Buffer.concat([told, ready]))
})

it('withoutCancel: after the end of a row that has the look of an error: replaced', () => {
  const row = Buffer.from('E\0\0\0\x05Z E E', 'latin1')
  expect(withoutCancel(Buffer.concat([row, failed('57014'), ready]), victim)).toEqual(
    Buffer.concat([row, told, ready]),
  )
})

it('withoutCancel: another error, or none: left as it is', () => {
  for (const end of [failed('23505'), commandComplete('UPDATE 1')]) {
    const tail = Buffer.concat([end, ready])
    expect(withoutCancel(tail, victim)).toEqual(tail)
  }
})
