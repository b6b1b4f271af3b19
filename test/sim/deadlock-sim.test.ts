import { expect, test } from 'vitest'
import { type DeadlockLoad, DeadlockSim } from './deadlock-sim.ts'

/** WEFT_SIM_MINUTES=600 runs more. */
const minutes = Number(process.env.WEFT_SIM_MINUTES ?? 60)

const prompt: DeadlockLoad = { seed: 1, minutes, isOrdered: false, answerMs: 100, slowAnswerMs: 150 }

const patience = { timeout: 600_000 }

test('an hour of contended load in one order, answers up to 3 s late: no victim', patience, async () => {
  const load = { ...prompt, seed: 2, isOrdered: true, answerMs: 400, slowAnswerMs: 3000 }
  const result = await new DeadlockSim(load).run()
  expect(result).toMatchObject({ victims: 0, local: 0, cycles: 0 })
  expect(result.committed).toBeGreaterThan(minutes * 300)
})

test(
  'an hour in any order: every victim was in a cycle, every cycle is broken within a second',
  patience,
  async () => {
    const result = await new DeadlockSim(prompt).run()
    expect(result.unexplained).toEqual([])
    expect(result.victims).toBeGreaterThan(minutes)
    expect(result.cycles).toBeGreaterThanOrEqual(minutes)
    expect(result.longestMs).toBeLessThan(1000)
  },
)

test('ten minutes in any order, answers up to 3 s late: every victim was in a cycle', patience, async () => {
  const load = { ...prompt, seed: 3, minutes: minutes / 6, answerMs: 400, slowAnswerMs: 3000 }
  const result = await new DeadlockSim(load).run()
  expect(result.unexplained).toEqual([])
  expect(result.victims).toBeGreaterThan(minutes)
})
