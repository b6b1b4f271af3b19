import { expect, test } from 'vitest'
import { ConnectionLost, NOBODY, SerializationFailure, SsiShard, type Sxact } from './ssi-sim-shard.ts'

/** Reads the row, as an UPDATE does. */
function update(shard: SsiShard, sxact: Sxact, row: string): void {
  shard.read(sxact, row)
  expect(shard.write(sxact, row, false)).toBe(true)
}

test('write skew: the first commits, the second is the victim', () => {
  const shard = new SsiShard()
  const [a, b] = [shard.begin(1), shard.begin(2)]
  shard.read(a, 'x')
  shard.read(b, 'y')
  update(shard, a, 'y')
  update(shard, b, 'x')
  shard.commit(a)
  expect(() => shard.commit(b)).toThrow(SerializationFailure)
})

test('write skew, one of them prepared: the other is the victim', () => {
  const shard = new SsiShard()
  const [a, b] = [shard.begin(1), shard.begin(2)]
  shard.read(a, 'x')
  shard.read(b, 'y')
  update(shard, a, 'y')
  shard.prepare(a)
  expect(() => {
    update(shard, b, 'x')
    shard.commit(b)
  }).toThrow(SerializationFailure)
  shard.commitPrepared(a)
})

test('one conflict alone: nobody is a victim', () => {
  const shard = new SsiShard()
  const [a, b] = [shard.begin(1), shard.begin(2)]
  shard.read(a, 'x')
  update(shard, b, 'x')
  shard.commit(b)
  update(shard, a, 'y')
  shard.commit(a)
})

test('read-only anomaly: the pivot fails only when the reader has seen what committed first', () => {
  for (const early of [true, false]) {
    const shard = new SsiShard()
    const withdraw = shard.begin(1)
    shard.read(withdraw, 'savings')
    const deposit = shard.begin(2)
    const before = early ? shard.begin(3, true) : undefined
    update(shard, deposit, 'savings')
    shard.commit(deposit)
    const reader = before ?? shard.begin(3, true)
    shard.read(reader, 'savings')
    shard.read(reader, 'checking')
    const end = (): void => {
      update(shard, withdraw, 'checking')
      shard.commit(withdraw)
    }
    if (early) end()
    else expect(end).toThrow('pivot, during write')
  }
})

test('rows: the second writer waits, and fails when the first commits', () => {
  const shard = new SsiShard()
  const [a, b] = [shard.begin(1), shard.begin(2)]
  shard.write(a, 'x', false)
  expect(shard.write(b, 'x', false)).toBe(false)
  shard.commit(a)
  expect(() => shard.write(b, 'x', false)).toThrow(SerializationFailure)
})

test('a probe: who overwrites what a prepared user of it has read cannot commit', () => {
  const shard = new SsiShard()
  const probe = shard.begin(NOBODY)
  shard.read(probe, 'probe')
  shard.prepare(probe)
  const [a, b] = [shard.begin(1), shard.begin(2)]
  shard.read(a, 'x')
  shard.write(a, 'probe', true)
  shard.prepare(a)
  update(shard, b, 'x')
  expect(() => shard.commit(b)).toThrow(SerializationFailure)
})

test('a probe: its user is the victim when what it has read is overwritten before it prepares', () => {
  const shard = new SsiShard()
  const probe = shard.begin(NOBODY)
  shard.read(probe, 'probe')
  shard.prepare(probe)
  const [a, b] = [shard.begin(1), shard.begin(2)]
  shard.read(a, 'x')
  update(shard, b, 'x')
  shard.commit(b)
  expect(() => shard.write(a, 'probe', true)).toThrow(SerializationFailure)
})

test('restart: what is prepared stays, its conflicts do not; who reads around it fails', () => {
  const shard = new SsiShard()
  const probe = shard.begin(NOBODY)
  shard.read(probe, 'probe')
  shard.prepare(probe)
  const [a, lost] = [shard.begin(1), shard.begin(2)]
  shard.read(a, 'x')
  update(shard, a, 'y')
  shard.write(a, 'probe', true)
  shard.prepare(a)
  shard.restart()
  expect(() => shard.read(lost, 'x')).toThrow(ConnectionLost)
  const reader = shard.begin(3)
  expect(() => shard.read(reader, 'y')).toThrow(SerializationFailure)
  // What the probe is for, and what it does not do any more: docs/decisions/0004-prepared-probe.md.
  const writer = shard.begin(4)
  update(shard, writer, 'x')
  shard.commit(writer)
})
