import { expect, it } from 'vitest'
import { LONG_TEXT_BYTES, ParseTurns } from './parse-turns.ts'

class ManualClock {
  time = 0
  private timers: { at: number; callback: () => void }[] = []
  now = (): number => this.time
  after = (ms: number, callback: () => void): void => {
    this.timers.push({ at: this.time + ms, callback })
  }
  async advance(ms: number): Promise<void> {
    this.time += ms
    const due = this.timers.filter((timer) => timer.at <= this.time)
    this.timers = this.timers.filter((timer) => timer.at > this.time)
    for (const timer of due) timer.callback()
    await Promise.resolve()
  }
}

it('parse turns: short texts: never wait', () => {
  const turns = new ParseTurns(new ManualClock())
  turns.took(1000)
  expect(turns.turn(LONG_TEXT_BYTES - 1)).toBeUndefined()
})

it('parse turns: a long text after another: waits for as long as that took, one at a time', async () => {
  const clock = new ManualClock()
  const turns = new ParseTurns(clock)
  expect(turns.turn(LONG_TEXT_BYTES)).toBeUndefined()
  turns.took(300)
  const done: string[] = []
  for (const name of ['a', 'b']) void turns.turn(LONG_TEXT_BYTES)!.then(() => done.push(name))
  await clock.advance(299)
  expect(done).toEqual([])
  await clock.advance(1)
  expect(done).toEqual(['a'])
  turns.took(100)
  await clock.advance(0)
  expect(done).toEqual(['a'])
  await clock.advance(100)
  expect(done).toEqual(['a', 'b'])
  expect(turns.waiting).toBe(0)
})
