import { expect, test } from 'vitest'
import { GateMachine } from './gate-machine.ts'
import type { GateEffect } from './gate-types.ts'

/** What the machine asks for, as `kind owner/id@ts`. */
function said(gate: GateMachine): string[] {
  const { effects } = gate
  gate.effects = []
  return effects.map((effect) => {
    const { owner, id, ts } = effect.cut
    return `${effect.kind} ${owner}/${id}@${ts}${detail(effect)}`
  })
}

function detail(effect: GateEffect): string {
  return effect.kind === 'behind' ? ` highest ${effect.highest}` : ''
}

function taken(gate: GateMachine, owner: string, nowMs: number): string[] {
  const cut = gate.activeCuts.find((c) => c.owner === owner)!
  gate.snapshotTaken({ ...cut }, nowMs)
  return said(gate)
}

const outside = (...gids: string[]) => ({ outside: new Set(gids), untold: new Set<string>() })
const untold = (...gids: string[]) => ({ outside: new Set<string>(), untold: new Set(gids) })

test('gate: open: everything enters and is counted', () => {
  const gate = new GateMachine()
  expect(gate.tryEnter('local')).toBe(true)
  expect(gate.tryEnter('decided', 5n)).toBe(true)
  expect(gate.inFlight).toBe(2)
  gate.leave('local')
  gate.leave('decided')
  expect(gate.inFlight).toBe(0)
  expect(() => gate.leave('local')).toThrow('without being in flight')
})

test('gate: cut with nothing under way: snapshot at once, held until the release', () => {
  const gate = new GateMachine()
  gate.cut('c1', 1, 10n, 100, 0)
  expect(said(gate)).toEqual(['snapshot c1/1@10'])
  expect(taken(gate, 'c1', 1)).toEqual(['taken c1/1@10'])
  expect([gate.tryEnter('local'), gate.tryEnter('statement'), gate.tryEnter('decided', 11n)]).toEqual([
    false,
    false,
    false,
  ])
  expect(gate.tryEnter('decided', 10n)).toBe(true)
  gate.release('c1', 1, 2)
  expect(gate.isOpen).toBe(true)
  expect(gate.tryEnter('local')).toBe(true)
})

test('gate: cut while commits are in flight: the snapshot waits for their end, others wait for the cut', () => {
  const gate = new GateMachine()
  gate.tryEnter('local')
  gate.cut('c1', 1, 10n, 100, 0)
  expect(said(gate)).toEqual([])
  expect(gate.tryEnter('local')).toBe(false)
  gate.leave('local')
  gate.advance(1)
  expect(said(gate)).toEqual(['snapshot c1/1@10'])
})

test('gate: cut below what was applied: behind, and the same cut goes on higher', () => {
  const gate = new GateMachine()
  gate.tryEnter('decided', 20n)
  gate.leave('decided')
  gate.cut('c1', 1, 10n, 100, 0)
  expect(said(gate)).toEqual(['behind c1/1@10 highest 20'])
  expect(gate.tryEnter('decided', 21n)).toBe(false)
  gate.cut('c1', 1, 21n, 100, 5)
  expect(said(gate)).toEqual(['snapshot c1/1@21'])
  expect(gate.activeCuts[0]?.deadlineMs).toBe(100)
})

test('gate: cut raised after its snapshot: what lies between comes in, then another snapshot', () => {
  const gate = new GateMachine()
  gate.prepared('g', 8n)
  gate.cut('c1', 1, 10n, 100, 0)
  gate.decided('g', 'commit', 15n)
  gate.advance(0)
  expect(said(gate)).toEqual(['snapshot c1/1@10'])
  taken(gate, 'c1', 1)
  expect(gate.tryEnter('decided', 15n)).toBe(false)
  gate.cut('c1', 1, 20n, 100, 2)
  expect(said(gate)).toEqual([])
  expect(gate.tryEnter('decided', 15n)).toBe(true)
  gate.leave('decided')
  gate.concluded('g')
  gate.advance(3)
  expect(said(gate)).toEqual(['snapshot c1/1@20'])
})

test('gate: prepared at or before a cut: waited for, while local commits go on', () => {
  const gate = new GateMachine()
  gate.prepared('early', 5n)
  gate.prepared('late', 15n)
  gate.cut('c1', 1, 10n, 100, 0)
  expect(said(gate)).toEqual([])
  expect(gate.tryEnter('local')).toBe(true)
  gate.leave('local')
  gate.decided('early', 'abort')
  gate.advance(1)
  expect(said(gate)).toEqual(['snapshot c1/1@10'])
})

test.each([
  ['above the cut: not part of it, whatever is decided', 15n, true],
  ['at the cut: waited for', 10n, false],
])('gate: prepared, and its timestamp fixed %s', (_, ts, isTaken) => {
  const gate = new GateMachine()
  gate.prepared('g', 5n)
  gate.cut('c1', 1, 10n, 100, 0)
  expect(said(gate)).toEqual([])
  gate.fixed('g', ts)
  gate.advance(1)
  expect(said(gate)).toEqual(isTaken ? ['snapshot c1/1@10'] : [])
  expect(gate.unsettled(ts - 1n)).toBe(undefined)
  expect(gate.unsettled(ts)).toBe('g')
})

test('gate: the last participant is waited for like what is prepared, and does not show as that', () => {
  const gate = new GateMachine()
  gate.prepared('last', 5n, true)
  gate.prepared('g', 6n)
  expect(gate.preparedGids()).toEqual(['g'])
  expect(gate.unsettled(5n)).toBe('last')
  gate.decided('last', 'commit', 5n)
  expect(gate.unsettled(5n)).toBe('last')
  gate.concluded('last')
  expect(gate.unsettled(5n)).toBe(undefined)
})

test('gate: prepared and never decided: busy after half the lease', () => {
  const gate = new GateMachine()
  gate.prepared('early', 5n)
  gate.cut('c1', 1, 10n, 100, 0)
  expect(gate.wakeAtMs(0)).toBe(50)
  gate.advance(50)
  expect(said(gate)).toEqual(['busy c1/1@10'])
  expect(gate.isOpen).toBe(true)
})

test('gate: statement that commits by itself: waited for without a hold', () => {
  const gate = new GateMachine()
  gate.tryEnter('statement')
  gate.cut('c1', 1, 10n, 100, 0)
  expect([gate.tryEnter('local'), gate.tryEnter('statement')]).toEqual([true, false])
  gate.leave('statement')
  gate.advance(1)
  expect(said(gate)).toEqual([])
  gate.leave('local')
  gate.advance(2)
  expect(said(gate)).toEqual(['snapshot c1/1@10'])
})

test('gate: lease over: expired, open, and a late repetition is refused', () => {
  const gate = new GateMachine()
  gate.cut('c1', 1, 10n, 100, 0)
  said(gate)
  gate.advance(100)
  expect(said(gate)).toEqual(['expired c1/1@10'])
  expect(gate.tryEnter('local')).toBe(true)
  gate.cut('c1', 1, 12n, 100, 101)
  expect(said(gate)).toEqual(['expired c1/1@12'])
  expect(gate.isOpen).toBe(true)
})

test('gate: release before its cut: the cut is dead when it comes', () => {
  const gate = new GateMachine()
  gate.release('c1', 3, 0)
  gate.cut('c1', 3, 10n, 100, 1)
  expect(said(gate)).toEqual(['expired c1/3@10'])
  gate.cut('c1', 4, 11n, 100, 2)
  expect(said(gate)).toEqual(['snapshot c1/4@11'])
})

test('gate: next cut of a coordinator whose release was lost: ends the one before', () => {
  const gate = new GateMachine()
  gate.cut('c1', 1, 10n, 100, 0)
  gate.cut('c1', 2, 12n, 100, 1)
  expect(gate.activeCuts.map((cut) => cut.id)).toEqual([2])
})

test('gate: cuts of two coordinators: overlap; a decision between them waits for the lower one only', () => {
  const gate = new GateMachine()
  gate.prepared('g', 5n)
  gate.decided('g', 'commit', 15n)
  gate.cut('c1', 1, 10n, 100, 0)
  gate.cut('c2', 1, 20n, 100, 0)
  expect(said(gate)).toEqual(['snapshot c1/1@10'])
  expect(gate.tryEnter('decided', 15n)).toBe(false)
  taken(gate, 'c1', 1)
  gate.release('c1', 1, 2)
  expect(gate.tryEnter('decided', 15n)).toBe(true)
  gate.leave('decided')
  gate.concluded('g')
  gate.advance(10)
  expect(said(gate)).toEqual(['snapshot c2/1@20'])
})

test('gate: held without a break for long: the next cut is told to come later', () => {
  const gate = new GateMachine()
  gate.cut('c1', 1, 10n, 100, 0)
  gate.cut('c2', 1, 11n, 100, 19)
  gate.cut('c3', 1, 12n, 100, 20)
  expect(said(gate)).toEqual(['snapshot c1/1@10', 'snapshot c2/1@11', 'busy c3/1@12'])
})

test('gate: opened just now, and nobody was held: the next cut is taken at once', () => {
  const gate = new GateMachine()
  gate.cut('c1', 1, 10n, 100, 0)
  gate.release('c1', 1, 4)
  said(gate)
  gate.cut('c1', 2, 11n, 100, 4)
  expect(said(gate)).toEqual(['snapshot c1/2@11'])
})

test('gate: a commit is held by a cut that goes on higher: it has its time after that, not before', () => {
  const gate = new GateMachine(20n)
  gate.cut('c1', 1, 10n, 100, 0)
  expect(gate.tryEnter('statement')).toBe(false)
  gate.cut('c1', 1, 30n, 100, 1)
  taken(gate, 'c1', 1)
  gate.release('c1', 1, 4)
  said(gate)
  gate.cut('c1', 2, 31n, 100, 5)
  expect(said(gate)).toEqual([])
  expect(gate.wakeAtMs(5)).toBe(7)
})

test('gate: opened just now, and a commit was held: stays open for as long as it was held', () => {
  const gate = new GateMachine()
  gate.cut('c1', 1, 10n, 100, 0)
  expect(gate.tryEnter('local')).toBe(false)
  gate.release('c1', 1, 4)
  said(gate)
  gate.cut('c1', 2, 11n, 100, 5)
  expect(said(gate)).toEqual([])
  expect(gate.tryEnter('local')).toBe(true)
  gate.leave('local')
  expect(gate.wakeAtMs(5)).toBe(8)
  gate.advance(8)
  expect(said(gate)).toEqual(['snapshot c1/2@11'])
})

test('gate: a link is gone: its cut is over', () => {
  const gate = new GateMachine()
  gate.cut('c1', 1, 10n, 100, 0)
  gate.ownerGone('c1', 1)
  expect(gate.tryEnter('local')).toBe(true)
})

test('gate: restart: what was applied before counts', () => {
  const gate = new GateMachine(50n)
  gate.cut('c1', 1, 10n, 100, 0)
  expect(said(gate)).toEqual(['behind c1/1@10 highest 50'])
})

test('gate: unsettled: not what the reader’s own link has prepared a moment ago and not decided', () => {
  const gate = new GateMachine()
  gate.prepared('mine', 5n)
  gate.own('mine', 'c1#1', 1000)
  const unseen = { owner: 'c1#1', sinceMs: 900 }
  expect(gate.unsettled(10n)).toBe('mine')
  expect(gate.unsettled(10n, unseen)).toBeUndefined()
  expect(gate.unsettled(10n, { owner: 'c1#2', sinceMs: 900 })).toBe('mine')
  expect(gate.unsettled(10n, { owner: 'c1#1', sinceMs: 1001 })).toBe('mine')
  gate.decided('mine', 'commit', 6n)
  expect(gate.unsettled(10n, unseen)).toBe('mine')
  gate.prepared('nobody’s', 5n)
  gate.concluded('mine')
  expect(gate.unsettled(10n, unseen)).toBe('nobody’s')
})

test('gate: since when the oldest is prepared: those that nobody owns too, from when they were', () => {
  const gate = new GateMachine()
  expect(gate.preparedSinceMs).toBeUndefined()
  gate.prepared('follows', 5n, false, 700)
  gate.prepared('last', 6n, true, 800)
  expect(gate.preparedSinceMs).toBe(700)
  gate.prepared('before its time', 0n)
  expect(gate.preparedSinceMs).toBe(0)
})

test('gate: prepared, and known to commit above the cut if at all: not waited for, and held once it is decided', () => {
  const gate = new GateMachine()
  gate.prepared('mine', 5n)
  gate.prepared('another', 6n)
  gate.cut('c1', 1, 10n, 100, 0, outside('mine'))
  expect(said(gate)).toEqual([])
  gate.decided('another', 'abort')
  gate.advance(1)
  expect(said(gate)).toEqual(['snapshot c1/1@10'])
  gate.decided('mine', 'commit', 11n)
  expect(gate.tryEnter('decided', 11n)).toBe(false)
})

test('gate: the same cut with a higher timestamp: what is outside is what was said with that', () => {
  const gate = new GateMachine()
  gate.prepared('mine', 5n)
  gate.tryEnter('decided', 20n)
  gate.leave('decided')
  gate.cut('c1', 1, 10n, 100, 0, outside('mine'))
  expect(said(gate)).toEqual(['behind c1/1@10 highest 20'])
  gate.cut('c1', 1, 21n, 100, 1)
  expect(said(gate)).toEqual([])
  gate.concluded('mine')
  gate.advance(2)
  expect(said(gate)).toEqual(['snapshot c1/1@21'])
})

test('gate: told to no shard: not waited for, and carried out by nobody before the cut is over', () => {
  const gate = new GateMachine()
  gate.prepared('mine', 5n)
  gate.cut('c1', 1, 10n, 100, 0, untold('mine'))
  expect(said(gate)).toEqual(['snapshot c1/1@10'])
  // Recovery has found its decision.
  gate.decided('mine', 'commit', 6n)
  expect(gate.tryEnter('decided', 6n, 'mine')).toBe(false)
  expect(gate.tryEnter('decided', 6n, 'another')).toBe(true)
  gate.release('c1', 1, 1)
  expect(gate.tryEnter('decided', 6n, 'mine')).toBe(true)
})

test('gate: said to be told to no shard, and carried out by recovery meanwhile, or about to be: no cut', () => {
  for (const meet of [
    (gate: GateMachine) => gate.concluded('mine'),
    (gate: GateMachine) => gate.decided('mine', 'commit', 6n),
  ]) {
    const gate = new GateMachine()
    gate.prepared('mine', 5n)
    meet(gate)
    gate.cut('c1', 1, 10n, 100, 0, untold('mine'))
    expect(said(gate)).toEqual(['busy c1/1@10'])
    expect(gate.isOpen).toBe(true)
  }
  const gate = new GateMachine(20n)
  gate.prepared('mine', 5n)
  gate.cut('c1', 1, 10n, 100, 0, untold('mine'))
  expect(said(gate)).toEqual(['behind c1/1@10 highest 20'])
  gate.concluded('mine')
  gate.cut('c1', 1, 21n, 100, 1, untold('mine'))
  expect(said(gate)).toEqual(['busy c1/1@21'])
})

test('gate: recovery has aborted what is said to be told to no shard: nothing to wait for', () => {
  const gate = new GateMachine()
  gate.prepared('mine', 5n)
  gate.decided('mine', 'abort')
  gate.cut('c1', 1, 10n, 100, 0, untold('mine'))
  expect(said(gate)).toEqual(['snapshot c1/1@10'])
})

test('gate: two cuts that each hold what the other waits for: the lower gives way', () => {
  const gate = new GateMachine()
  gate.prepared('of c1', 5n)
  gate.prepared('of c2', 6n)
  gate.cut('c1', 1, 10n, 100, 0, untold('of c1'))
  expect(said(gate)).toEqual([])
  gate.cut('c2', 1, 11n, 100, 0, untold('of c2'))
  expect(said(gate)).toEqual(['busy c1/1@10'])
  expect(gate.activeCuts.map((cut) => cut.owner)).toEqual(['c2'])
  gate.concluded('of c1')
  gate.advance(1)
  expect(said(gate)).toEqual(['snapshot c2/1@11'])
})

function starting(gate: GateMachine, id: number, nowMs: number): void {
  gate.cut('c1', id, BigInt(10 * id), 100, nowMs)
  taken(gate, 'c1', nowMs)
  expect(gate.start('c1', id, nowMs)).toBe(true)
}

test('gate: released with statements that still have to begin: held until they have', () => {
  const gate = new GateMachine()
  starting(gate, 1, 5)
  expect([gate.tryEnter('local'), gate.tryEnter('decided', 11n)]).toEqual([false, false])
  gate.started('c1', 1, 6)
  expect([gate.isOpen, gate.tryEnter('local'), said(gate)]).toEqual([true, true, []])
})

test('gate: statements that do not begin: held for another lease, not longer', () => {
  const gate = new GateMachine()
  gate.cut('c1', 1, 10n, 100, 0)
  taken(gate, 'c1', 0)
  expect(gate.start('c1', 1, 90)).toBe(true)
  gate.advance(189)
  expect([gate.isOpen, gate.wakeAtMs(189)]).toEqual([false, 190])
  gate.advance(190)
  expect([gate.isOpen, said(gate)]).toEqual([true, ['expired c1/1@10']])
})

test('gate: statements are to begin when the lease is over, or before the snapshots are taken: they must not', () => {
  const gate = new GateMachine()
  gate.cut('c1', 1, 10n, 100, 0)
  expect(gate.start('c1', 1, 1)).toBe(false)
  gate.cut('c1', 2, 20n, 100, 50)
  said(gate)
  taken(gate, 'c1', 51)
  expect(gate.start('c1', 2, 150)).toBe(false)
  expect([gate.isOpen, said(gate)]).toEqual([true, ['expired c1/2@20']])
})

test('gate: the next cut of the same owner, and its release: the one that has to begin goes on', () => {
  const gate = new GateMachine()
  starting(gate, 1, 0)
  gate.cut('c1', 1, 30n, 100, 1)
  expect(said(gate)).toEqual(['expired c1/1@30'])
  gate.cut('c1', 2, 20n, 100, 1)
  expect(said(gate)).toEqual(['snapshot c1/2@20'])
  gate.release('c1', 2, 2)
  expect([gate.isOpen, gate.tryEnter('local')]).toEqual([false, false])
  gate.started('c1', 1, 3)
  expect(gate.isOpen).toBe(true)
  gate.cut('c1', 2, 40n, 100, 100)
  expect(said(gate)).toEqual(['expired c1/2@40'])
})

test('gate: the owner of one that has to begin is gone: open', () => {
  const gate = new GateMachine()
  starting(gate, 1, 0)
  gate.ownerGone('c1', 1)
  expect(gate.isOpen).toBe(true)
})
