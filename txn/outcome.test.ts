import { describe, expect, test } from 'vitest'
import type { DecisionRecord, LookupResult } from './log/txn-log.ts'
import { judgeOutcome, outcomeIdFor, parseOutcomeId } from './outcome.ts'

const record = (decision: 'commit' | 'abort'): LookupResult => {
  const fields = { version: 1, txnId: 'c-0-1', participants: [], writer: 'w' } as const
  return { kind: 'record', record: { ...fields, decision, commitTs: 5n } satisfies DecisionRecord }
}
const absent = (ownerRegistered: boolean): LookupResult => ({ kind: 'absent', ownerRegistered })
const nothing = { isKept: false, forgottenTs: 4n }
const kept = { isKept: true, forgottenTs: 9n }
const forgotten = { isKept: false, forgottenTs: 5n }

describe('outcome: what the log says', () => {
  test.each([
    ['a commit record', record('commit'), forgotten, 'committed'],
    ['a commit that recovery has concluded', absent(false), kept, 'committed'],
    ['the same, and a tombstone that came after it', record('abort'), kept, 'committed'],
    ['an abort record', record('abort'), nothing, 'aborted'],
    ['no record, and there never will be one', absent(false), nothing, 'aborted'],
    ['no record, but its coordinator may still decide', absent(true), nothing, 'in doubt'],
    ['a record of a newer version', { kind: 'unreadable', why: 'v2' }, forgotten, 'in doubt'],
    ['nothing, and commits of its time are forgotten', absent(false), forgotten, 'unknown'],
    [
      'a tombstone, which may have come late, and commits of its time are forgotten',
      record('abort'),
      forgotten,
      'unknown',
    ],
  ] as const)('%s', (_, found, of, expected) => {
    expect(judgeOutcome(found, of, 5n)).toBe(expected)
  })
})

describe('outcome: ids', () => {
  test('are read as they were written', () => {
    const id = { txnId: '00kq2f-1-z', commitTs: 2n ** 63n - 1n }
    expect(parseOutcomeId(outcomeIdFor(id.txnId, id.commitTs))).toEqual(id)
  })

  test.each(['', 'x', 'c-0-1', 'c-0-1@', 'c-0-1@A', 'c-0-1@0@0', 'weft:c:c-0-1:2', "c-0-1@0'"])(
    '%s is none',
    (text) => {
      expect(parseOutcomeId(text)).toBeUndefined()
    },
  )
})
