import { expect, test } from 'vitest'
import { MemoryTxnLog } from './memory-txn-log.ts'
import { TimedTxnLog } from './timed-txn-log.ts'
import { LogUnavailableError } from './txn-log.ts'

test('a timed log answers as the log does, and tells how long each request took, and which failed', async () => {
  const log = new MemoryTxnLog(undefined, 'me')
  const told: [string, string, boolean][] = []
  const timed = new TimedTxnLog(log, (request, result, tookMs) => told.push([request, result, tookMs >= 0]))
  const txnId = `${timed.incarnation()}-1`
  const record = {
    version: 1,
    txnId,
    decision: 'commit',
    commitTs: 5n,
    participants: [1],
    writer: 'w',
  } as const
  expect(await timed.create(record)).toEqual({ kind: 'created' })
  expect(await timed.lookup(txnId)).toEqual({ kind: 'record', record })
  expect(await timed.list(9)).toEqual([record])
  await timed.drop([txnId])
  log.lookup = () => Promise.reject(new LogUnavailableError('away'))
  await expect(timed.lookup(txnId)).rejects.toThrow('away')
  expect(told).toEqual([
    ['create', 'ok', true],
    ['lookup', 'ok', true],
    ['drop', 'ok', true],
    ['lookup', 'failed', true],
  ])
})
