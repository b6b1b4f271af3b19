import { expect, test } from 'vitest'
import { CutMachine } from './cut-machine.ts'
import { type CutEffect, cutDefaults } from './cut-types.ts'
import { toTimestamp } from './hlc.ts'

const at = (ms: number) => ({ ms, ts: toTimestamp(1_000 + ms, 0), chance: 0.5 })
const limits = { ...cutDefaults, aheadMs: 0 }
const tsAt = (ms: number): bigint => at(ms).ts

function said(machine: CutMachine): string[] {
  const { effects } = machine
  machine.effects = []
  return effects.map(worded)
}

function worded(e: CutEffect): string {
  switch (e.kind) {
    case 'cut':
      return `cut ${e.id} shard ${e.shard} readers ${e.readers}`
    case 'release':
      return `release ${e.id} shard ${e.shard} ${e.go ? 'go' : 'drop'}`
    case 'taken':
      return `taken ${e.readers}`
    case 'failed':
      return `failed ${e.reader} ${e.how} shard ${e.shard} ${e.why}`
  }
}

function asked(...readers: { id: number; shards: number[]; deadlineMs?: number; above?: bigint }[]) {
  const machine = new CutMachine(limits)
  for (const reader of readers) machine.join({ above: 0n, deadlineMs: 5_000, ...reader }, at(0))
  return machine
}

test('cut: one reader: asks its shards, releases all of them once all have taken it', () => {
  const machine = asked({ id: 7, shards: [0, 2] })
  expect(said(machine)).toEqual(['cut 1 shard 0 readers 7', 'cut 1 shard 2 readers 7'])
  machine.reply(0, 1, tsAt(0), { result: 'taken' }, at(1))
  expect(said(machine)).toEqual([])
  machine.reply(2, 1, tsAt(0), { result: 'taken' }, at(2))
  expect(said(machine)).toEqual(['release 1 shard 0 go', 'release 1 shard 2 go', 'taken 7'])
  expect(machine.isIdle).toBe(true)
})

test('cut: that writers have met: who comes while it is under way shares the next, after as long as this one took', () => {
  const machine = asked({ id: 1, shards: [0, 1] })
  machine.join({ id: 2, shards: [0, 1], above: 0n, deadlineMs: 5_000 }, at(1))
  machine.join({ id: 3, shards: [1, 2], above: 0n, deadlineMs: 5_000 }, at(1))
  said(machine)
  machine.reply(0, 1, tsAt(0), { result: 'taken', afterMs: 1 }, at(2))
  machine.reply(1, 1, tsAt(0), { result: 'taken', afterMs: 0 }, at(3))
  said(machine)
  expect(machine.wakeAtMs).toBe(6)
  machine.wake(at(6))
  expect(said(machine)).toEqual([
    'cut 2 shard 0 readers 2',
    'cut 2 shard 1 readers 2,3',
    'cut 2 shard 2 readers 3',
  ])
})

test('cut: that no writer has met: the next one begins at once', () => {
  const machine = asked({ id: 1, shards: [0] })
  machine.join({ id: 2, shards: [0], above: 0n, deadlineMs: 5_000 }, at(1))
  machine.reply(0, 1, tsAt(0), { result: 'taken', afterMs: 0 }, at(2))
  expect(said(machine)).toEqual([
    'cut 1 shard 0 readers 1',
    'release 1 shard 0 go',
    'taken 1',
    'cut 2 shard 0 readers 2',
  ])
})

test('cut: behind: the same cut goes on above it everywhere, older answers count no more', () => {
  const machine = asked({ id: 1, shards: [0, 1] })
  machine.reply(1, 1, tsAt(0), { result: 'taken' }, at(1))
  said(machine)
  const highest = tsAt(50)
  machine.reply(0, 1, tsAt(0), { result: 'behind', highest }, at(2))
  expect(machine.effects.map((e) => e.kind === 'cut' && e.ts)).toEqual([highest + 1n, highest + 1n])
  expect(said(machine)).toEqual(['cut 1 shard 0 readers 1', 'cut 1 shard 1 readers 1'])
  machine.reply(1, 1, tsAt(0), { result: 'taken' }, at(2))
  machine.reply(0, 1, highest + 1n, { result: 'taken' }, at(2))
  expect(said(machine)).toEqual([])
  machine.reply(1, 1, highest + 1n, { result: 'taken' }, at(3))
  expect(said(machine)).toContain('taken 1')
})

test('cut: last answer after the lease, measured from the sending: thrown away, and tried again with a longer one', () => {
  const machine = asked({ id: 1, shards: [0, 1] })
  machine.reply(0, 1, tsAt(0), { result: 'taken' }, at(85))
  said(machine)
  machine.reply(1, 1, tsAt(0), { result: 'taken' }, at(91))
  expect(said(machine)).toEqual(['release 1 shard 0 drop', 'release 1 shard 1 drop'])
  machine.wake(at(machine.wakeAtMs))
  expect(machine.effects.map((e) => e.kind === 'cut' && e.leaseMs)).toEqual([200, 200])
})

test('cut: busy: released everywhere, tried again after a pause', () => {
  const machine = asked({ id: 1, shards: [0, 1] })
  said(machine)
  machine.reply(1, 1, tsAt(0), { result: 'busy', afterMs: 8, why: 'held' }, at(1))
  expect(said(machine)).toEqual(['release 1 shard 0 drop', 'release 1 shard 1 drop'])
  expect(machine.wakeAtMs).toBe(9)
  machine.wake(at(9))
  expect(said(machine)).toEqual(['cut 2 shard 0 readers 1', 'cut 2 shard 1 readers 1'])
})

test('cut: a shard is lost: who reads it fails, the others try again', () => {
  const machine = asked({ id: 1, shards: [0, 1] })
  said(machine)
  machine.join({ id: 2, shards: [0, 2], above: 0n, deadlineMs: 5_000 }, at(1))
  machine.reply(0, 1, tsAt(0), { result: 'taken' }, at(1))
  machine.reply(1, 1, tsAt(0), { result: 'taken' }, at(1))
  said(machine)
  machine.lost(2, 2, 'gone', at(3))
  expect(said(machine)).toEqual([
    'failed 2 lost shard 2 gone',
    'release 2 shard 0 drop',
    'release 2 shard 2 drop',
  ])
  expect(machine.isIdle).toBe(true)
})

test('cut: a shard that is always busy: the reader fails when its time is over, told which one', () => {
  const machine = asked({ id: 1, shards: [0, 1], deadlineMs: 30 })
  for (let ms = 0; ms < 30; ms = machine.wakeAtMs) {
    machine.wake(at(ms))
    for (const effect of machine.effects) {
      if (effect.kind !== 'cut' || effect.shard !== 1) continue
      machine.reply(1, effect.id, effect.ts, { result: 'busy', afterMs: 1, why: 'in doubt' }, at(ms))
    }
    said(machine)
  }
  machine.wake(at(30))
  expect(said(machine)).toEqual(['failed 1 too-late shard 1 in doubt'])
  expect(machine.wakeAtMs).toBe(Number.POSITIVE_INFINITY)
})

test('cut: readers that a shard is in the way of: take turns with the others', () => {
  const machine = asked({ id: 1, shards: [0, 1] })
  said(machine)
  machine.reply(1, 1, tsAt(0), { result: 'busy', afterMs: 1, why: 'in doubt' }, at(1))
  machine.join({ id: 2, shards: [0, 2], above: 0n, deadlineMs: 5_000 }, at(1))
  said(machine)
  machine.wake(at(machine.wakeAtMs))
  expect(said(machine)).toEqual(['cut 2 shard 0 readers 2', 'cut 2 shard 2 readers 2'])
})

test('cut: above what a reader has seen', () => {
  const above = tsAt(100)
  const machine = asked({ id: 1, shards: [0, 1], above })
  expect(machine.effects.every((e) => e.kind === 'cut' && e.ts > above)).toBe(true)
})

test('cut: its only reader leaves: released', () => {
  const machine = asked({ id: 1, shards: [0, 1] })
  said(machine)
  machine.leave(1, at(1))
  expect(said(machine)).toEqual(['release 1 shard 0 drop', 'release 1 shard 1 drop'])
})
