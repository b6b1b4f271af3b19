import { beforeAll, describe, expect, it } from 'vitest'
import { listAppend } from '../../jepsen/check/list-append/list-append.ts'
import type { Isolation } from '../../jepsen/check/verdict.ts'
import type { Op } from '../../jepsen/history/op.ts'
import { useTestCluster } from '../helpers/cluster.ts'
import { createLists, runLoad, summary } from '../helpers/list-append-load.ts'

const TXNS = 400
const cluster = useTestCluster({ shards: 3 })

beforeAll(async () => {
  await createLists(cluster.current.weftUrl)
  await createLists(cluster.current.plainUrl, false)
})

function load(begin: string, seed: number, setup = ''): Promise<Op[]> {
  return runLoad({ urls: [cluster.current.weftUrl], begin, seed, txns: TXNS, setup })
}

/** Strict: what was acknowledged before is seen. At READ COMMITTED, statement by statement. */
function forbidden(history: readonly Op[], isolation: Isolation): string[] {
  const { anomalies } = listAppend(history, { isolation, realtime: true })
  return anomalies.map(({ kind, text }) => `${kind}: ${text}`)
}

function isSeen(kind: string, history: readonly Op[]): boolean {
  const { allowed } = listAppend(history, { isolation: 'read committed', realtime: true })
  return allowed.some((found) => found.kind === kind)
}

/** Enough has come through, over several lists, for a verdict to mean something. */
function expectSubstance(history: readonly Op[], committedMin: number): void {
  const { committed, spread } = summary(history)
  expect(committed).toBeGreaterThan(committedMin)
  expect(spread).toBeGreaterThan(committedMin / 5)
}

const RUNS_MAX = 30

/**
 * Runs a load until it shows what its level allows: else its verdict on the rest means little. Whether one run does is
 * chance; that none of many does is not.
 */
async function untilSeen(allowed: string, load: (run: number) => Promise<Op[]>): Promise<void> {
  for (let run = 0; run < RUNS_MAX; run++) {
    if (isSeen(allowed, await load(run))) return
  }
  throw new Error(`no ${allowed} was seen`)
}

describe('random transactions that append to lists and read them, on three shards', () => {
  it.each([1, 2])(
    'READ COMMITTED, seed %i: no G0, G1; no statement over several lists is torn',
    async (seed) => {
      await untilSeen('G-single', async (run) => {
        const history = await load('BEGIN', seed + 10 * run)
        expectSubstance(history, TXNS / 4)
        expect(forbidden(history, 'read committed')).toEqual([])
        return history
      })
    },
    120_000,
  )

  it.each([3, 4])(
    'REPEATABLE READ, seed %i: snapshot isolation',
    async (seed) => {
      await untilSeen('G2-item', async (run) => {
        const history = await load('BEGIN ISOLATION LEVEL REPEATABLE READ', seed + 10 * run)
        expectSubstance(history, TXNS / 8)
        expect(forbidden(history, 'repeatable read')).toEqual([])
        return history
      })
    },
    120_000,
  )

  it.each([5, 6])('SERIALIZABLE, seed %i: no cycle at all', async (seed) => {
    const history = await load('BEGIN ISOLATION LEVEL SERIALIZABLE', seed)
    expectSubstance(history, TXNS / 16)
    expect(forbidden(history, 'serializable')).toEqual([])
  })

  it('READ COMMITTED with weft.consistent_reads off: torn statements are found', async () => {
    // Whether a run shows it is chance; that none of many does is not.
    for (let seed = 7; seed < 7 + RUNS_MAX; seed++) {
      const history = await load('BEGIN', seed, 'SET weft.consistent_reads = off')
      if (forbidden(history, 'read committed').some((found) => found.startsWith('statement-'))) return
    }
    throw new Error('nothing was torn')
  }, 120_000)
})

describe('the same load on one Postgres: the judge finds what each level allows, and nothing else', () => {
  it.each([
    { level: 'read committed', seed: 11, allowed: 'G-single' },
    { level: 'repeatable read', seed: 12, allowed: 'G2-item' },
    { level: 'serializable', seed: 13, allowed: undefined },
  ] as const)(
    '$level',
    async ({ level, seed, allowed }) => {
      const begin = `BEGIN ISOLATION LEVEL ${level}`
      for (let run = 0; run < RUNS_MAX; run++) {
        const urls = [cluster.current.plainUrl]
        const history = await runLoad({ urls, begin, seed: seed + 10 * run, txns: TXNS })
        expect(forbidden(history, level)).toEqual([])
        if (allowed === undefined || isSeen(allowed, history)) return
      }
      throw new Error(`no ${allowed} was seen`)
    },
    120_000,
  )
})
