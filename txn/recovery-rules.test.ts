import { describe, expect, test } from 'vitest'
import { gidFor } from './gid.ts'
import type { DecisionRecord } from './log/txn-log.ts'
import {
  judgePrepared,
  mayConfirm,
  type RecoveryScope,
  resolveCreated,
  resolveFound,
} from './recovery-rules.ts'

const scope = (connected: boolean): RecoveryScope => ({
  cluster: 'c',
  shard: 1,
  inDoubtAfterMs: 1000,
  abortAfterMs: 5000,
  isOwnerConnected: (id) => connected && id === 'owner',
})
const record = (decision: 'commit' | 'abort'): DecisionRecord => ({
  version: 1,
  txnId: 'owner-0-1',
  decision,
  commitTs: decision === 'commit' ? 77n : 0n,
  participants: [1, 2],
  writer: 'w',
})
const mine = gidFor('c', 'owner-0-1', 1)
const judge = (gid: string, ageMs: number, connected: boolean) =>
  judgePrepared({ gid, ageMs }, scope(connected))

describe('recovery: what is found prepared', () => {
  test.each(['app_tx_1', gidFor('other', 'owner-0-1', 1), `${mine} `])(
    '%j: foreign, however old and whoever is gone',
    (gid) => {
      expect(judge(gid, 1e9, false)).toEqual({ kind: 'foreign' })
    },
  )

  test('ours with another shard number: shown, not resolved', () => {
    expect(judge(gidFor('c', 'owner-0-1', 2), 1e9, false).kind).toBe('misplaced')
  })

  test('the owner is not connected: resolved at once', () => {
    expect(judge(mine, 0, false)).toMatchObject({ kind: 'resolve', mayAbort: true })
  })

  test('the owner is connected: left alone, then looked up, then aborted', () => {
    expect(judge(mine, 999, true)).toEqual({ kind: 'leave' })
    expect(judge(mine, 1000, true)).toMatchObject({ kind: 'resolve', mayAbort: false })
    expect(judge(mine, 5000, true)).toMatchObject({ kind: 'resolve', mayAbort: true })
  })
})

describe('recovery: what the log says', () => {
  test('a commit record: committed at its timestamp', () => {
    for (const mayAbort of [true, false]) {
      const found = { kind: 'record', record: record('commit') } as const
      expect(resolveFound(found, mayAbort)).toEqual({ kind: 'commit-prepared', commitTs: 77n })
    }
  })

  test('an abort record: rolled back', () => {
    const found = { kind: 'record', record: record('abort') } as const
    expect(resolveFound(found, false)).toEqual({ kind: 'rollback-prepared' })
  })

  test('nothing, and the coordinator may still decide: a tombstone first, and only when it may abort', () => {
    const found = { kind: 'absent', ownerRegistered: true } as const
    expect(resolveFound(found, true)).toEqual({ kind: 'create-abort' })
    expect(resolveFound(found, false)).toEqual({ kind: 'leave' })
  })

  test('nothing, and the coordinator can never decide: rolled back without a tombstone', () => {
    const found = { kind: 'absent', ownerRegistered: false } as const
    expect(resolveFound(found, false)).toEqual({ kind: 'rollback-prepared' })
  })

  test('a record that cannot be read: shown and left', () => {
    const found = { kind: 'unreadable', why: 'version 2' } as const
    expect(resolveFound(found, true)).toEqual({ kind: 'surface', why: 'version 2' })
  })

  test('the tombstone came too late: what is there decides', () => {
    expect(resolveCreated({ kind: 'created' })).toEqual({ kind: 'rollback-prepared' })
    expect(resolveCreated({ kind: 'exists', record: record('commit') }).kind).toBe('commit-prepared')
    expect(resolveCreated({ kind: 'exists', record: record('abort') }).kind).toBe('rollback-prepared')
    expect(resolveCreated({ kind: 'fenced' }).kind).toBe('leave')
  })
})

describe('recovery: confirming', () => {
  test('a commit record of this shard that is not prepared here any more: confirmed', () => {
    expect(mayConfirm(record('commit'), { shard: 1 }, new Set())).toBe(true)
  })

  test('still prepared, or not a participant, or an abort: not confirmed', () => {
    expect(mayConfirm(record('commit'), { shard: 1 }, new Set(['owner-0-1']))).toBe(false)
    expect(mayConfirm(record('commit'), { shard: 3 }, new Set())).toBe(false)
    expect(mayConfirm(record('abort'), { shard: 1 }, new Set())).toBe(false)
  })
})
