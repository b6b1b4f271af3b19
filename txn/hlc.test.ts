import { describe, expect, test } from 'vitest'
import { PgError } from '../errors/pg-error.ts'
import { type ClockBound, HlcClock, timestampMs, toTimestamp } from './hlc.ts'

const hour = 3_600_000

/** A wall and a monotonic clock in the test's hand. */
class Hands {
  wallMs: number
  monoMs = 5
  constructor(wallMs = 1_000_000_000) {
    this.wallMs = wallMs
  }
  pass(ms: number): void {
    this.wallMs += ms
    this.monoMs += ms
  }
  set(byMs: number): void {
    this.wallMs += byMs
  }
}

class MemoryBound implements ClockBound {
  storedMs = 0
  writes = 0
  /** While set, stores wait for it. */
  gate: Promise<void> | undefined
  async read(): Promise<number> {
    return this.storedMs
  }
  async persist(upperMs: number): Promise<void> {
    await this.gate
    expect(upperMs).toBeGreaterThanOrEqual(this.storedMs)
    this.storedMs = upperMs
    this.writes++
  }
  async lower(fromMs: number, toMs: number): Promise<void> {
    if (this.storedMs === fromMs) this.storedMs = toMs
  }
}

const clockOf = (hands: Hands, bound?: ClockBound): HlcClock =>
  new HlcClock({
    wallMs: () => hands.wallMs,
    monoMs: () => hands.monoMs,
    maxOffsetMs: 500,
    ...(bound === undefined ? {} : { bound }),
  })

const codeOf = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    if (error instanceof PgError) return error.code
    throw error
  }
  return 'no error'
}

describe('hlc', () => {
  test('now: the wall stands still: every timestamp is greater', () => {
    const clock = clockOf(new Hands())
    let last = clock.now()
    let greater = 0
    for (let i = 0; i < 200_000; i++) {
      const next = clock.now()
      if (next > last) greater++
      last = next
    }
    expect(greater).toBe(200_000)
    expect(timestampMs(last) - 1_000_000_000).toBeLessThanOrEqual(4)
  })

  test('now: time passes: the milliseconds follow the wall', () => {
    const hands = new Hands()
    const clock = clockOf(hands)
    clock.now()
    hands.pass(1234)
    expect(clock.now()).toBe(toTimestamp(1_000_001_234, 0))
  })

  test('observe: a timestamp ahead within the offset: the next is greater', () => {
    const hands = new Hands()
    const clock = clockOf(hands)
    const seen = toTimestamp(hands.wallMs + 500, 7)
    clock.observe(seen)
    expect(clock.now()).toBe(seen + 1n)
  })

  test('observe: a timestamp beyond the offset: 58000 and nothing adopted', () => {
    const hands = new Hands()
    const clock = clockOf(hands)
    expect(codeOf(() => clock.observe(toTimestamp(hands.wallMs + 501, 0)))).toBe('58000')
    expect(timestampMs(clock.now())).toBe(hands.wallMs)
  })

  test('observe: an old timestamp: no effect', () => {
    const hands = new Hands()
    const clock = clockOf(hands)
    const before = clock.now()
    clock.observe(toTimestamp(hands.wallMs - hour, 9))
    expect(clock.now()).toBe(before + 1n)
  })
})

describe('hlc: the wall is set by an hour', () => {
  for (const step of [hour, -hour]) {
    const way = step > 0 ? 'forward' : 'back'
    test(`${way} on one node: it goes on, and the others go on accepting it`, () => {
      const mine = new Hands()
      const theirs = new Hands()
      const a = clockOf(mine)
      const b = clockOf(theirs)
      a.observe(b.now())
      mine.set(step)
      let last = a.now()
      for (let i = 0; i < 100; i++) {
        mine.pass(100)
        theirs.pass(100)
        const next = a.now()
        expect(next > last).toBe(true)
        b.observe(next)
        a.observe(b.now())
        last = next
      }
      expect(Math.abs(timestampMs(a.now()) - theirs.wallMs)).toBeLessThanOrEqual(500)
    })

    test(`${way} on all nodes: they go on`, () => {
      const hands = new Hands()
      const a = clockOf(hands)
      const b = clockOf(hands)
      a.observe(b.now())
      hands.set(step)
      for (let i = 0; i < 100; i++) {
        hands.pass(100)
        b.observe(a.now())
        a.observe(b.now())
      }
    })
  }

  test('to put a slow clock right: peers are accepted from then on', () => {
    const slow = new Hands(1_000_000_000 - hour)
    const right = new Hands()
    const a = clockOf(slow)
    const b = clockOf(right)
    expect(codeOf(() => a.observe(b.now()))).toBe('58000')
    slow.set(hour)
    a.observe(b.now())
    slow.pass(10)
    expect(timestampMs(a.now())).toBe(slow.wallMs)
  })

  test('back while a coordinator was down: it agrees with the running ones and works', () => {
    const running = new Hands()
    const agents = [clockOf(running), clockOf(running), clockOf(running)]
    const restarted = clockOf(new Hands(running.wallMs - hour))
    restarted.agree(agents.map((agent) => agent.now()))
    for (const agent of agents) {
      restarted.observe(agent.now())
      agent.observe(restarted.now())
    }
  })

  test('one of three peers is wrong: the median is believed', () => {
    const hands = new Hands()
    const clock = clockOf(hands)
    clock.agree([hands.wallMs + hour, hands.wallMs, hands.wallMs + 3].map((ms) => toTimestamp(ms, 0)))
    expect(timestampMs(clock.now())).toBe(hands.wallMs)
  })
})

describe('hlc: bound', () => {
  test('restart with the wall an hour back: nothing is issued twice', async () => {
    const bound = new MemoryBound()
    const hands = new Hands()
    const first = clockOf(hands, bound)
    await first.start()
    let last = first.now()
    for (let i = 0; i < 100; i++) {
      hands.pass(997)
      last = first.now()
      await first.settled()
    }
    hands.set(-hour)
    const second = clockOf(hands, bound)
    await second.start()
    expect(second.now() > last).toBe(true)
    second.observe(last)
  })

  test('every timestamp issued lies below what is stored', async () => {
    const bound = new MemoryBound()
    const hands = new Hands()
    const clock = clockOf(hands, bound)
    await clock.start()
    for (let i = 0; i < 500; i++) {
      hands.pass((i * 37) % 400)
      expect(timestampMs(clock.now())).toBeLessThan(bound.storedMs)
      if (i % 3 === 0) await clock.settled()
    }
    expect(bound.writes).toBeLessThan(100)
  })

  test('the store hangs: counting goes on below the bound, then 58030, then it recovers', async () => {
    const bound = new MemoryBound()
    const hands = new Hands()
    const clock = clockOf(hands, bound)
    await clock.start()
    let open = (): void => {}
    bound.gate = new Promise((resolve) => {
      open = resolve
    })
    hands.pass(400)
    hands.pass(10_000)
    let last = clock.now()
    let right = 0
    for (let i = 0; i < 0xffff; i++) {
      const next = clock.now()
      if (next > last && timestampMs(next) < bound.storedMs) right++
      last = next
    }
    expect(right).toBe(0xffff)
    expect(codeOf(() => clock.now())).toBe('58030')
    open()
    await clock.settled()
    expect(clock.now() > last).toBe(true)
  })

  test('a store fails: it is told, and tried again', async () => {
    const hands = new Hands()
    const errors: unknown[] = []
    let fail = false
    let stored = 0
    const clock = new HlcClock({
      wallMs: () => hands.wallMs,
      monoMs: () => hands.monoMs,
      maxOffsetMs: 500,
      onBoundError: (error) => errors.push(error),
      bound: {
        read: async () => stored,
        persist: async (upper) => {
          if (fail) throw new Error('disk full')
          stored = upper
        },
      },
    })
    await clock.start()
    fail = true
    hands.pass(2000)
    clock.now()
    await clock.settled()
    expect(errors).toHaveLength(1)
    fail = false
    clock.now()
    await clock.settled()
    expect(stored).toBeGreaterThanOrEqual(hands.wallMs + 3000)
  })

  test('observe beyond the bound: nothing is issued until it is stored, then only what is greater', async () => {
    const bound = new MemoryBound()
    const hands = new Hands()
    const clock = clockOf(hands, bound)
    await clock.start()
    const before = clock.now()
    // Nobody asks it anything, so the bound stays where it is.
    hands.pass(10_000)
    const seen = toTimestamp(hands.wallMs + 300, 3)
    clock.observe(seen)
    expect(codeOf(() => clock.now())).toBe('58030')
    expect(clock.stamp()).toBe(before)
    await clock.settled()
    expect(clock.now() > seen).toBe(true)
    expect(timestampMs(clock.now())).toBeLessThan(bound.storedMs)
  })

  test('cover: a timestamp beyond the bound: stored above it, also while a lower one is being stored', async () => {
    const bound = new MemoryBound()
    const hands = new Hands()
    const clock = clockOf(hands, bound)
    await clock.start()
    hands.pass(2000)
    let open = (): void => {}
    bound.gate = new Promise((resolve) => {
      open = resolve
    })
    clock.now()
    const ts = toTimestamp(hands.wallMs + 3100, 0)
    expect(clock.covers(ts)).toBe(false)
    const covered = clock.cover(ts)
    open()
    await covered
    expect(timestampMs(ts)).toBeLessThan(bound.storedMs)
    const again = clockOf(hands, bound)
    await again.start()
    expect(again.now() > ts).toBe(true)
  })

  test('cover: the bound cannot be stored: 58030', async () => {
    let fail = false
    const bound = {
      read: async () => 0,
      persist: async () => (fail ? Promise.reject(new Error('full')) : undefined),
    }
    const hands = new Hands()
    const clock = clockOf(hands, bound)
    await clock.start()
    fail = true
    await expect(clock.cover(toTimestamp(hands.wallMs + 5000, 0))).rejects.toMatchObject({ code: '58030' })
  })

  test('after a crash: ahead of the time by what was stored, and less as time passes', async () => {
    const bound = new MemoryBound()
    const hands = new Hands()
    await clockOf(hands, bound).start()
    const again = clockOf(hands, bound)
    await again.start()
    expect(again.leadMs()).toBe(3000)
    hands.pass(2600)
    expect(again.leadMs()).toBe(400)
    clockOf(hands).observe(again.now())
  })

  test('crashes one after the other: the lead does not add up', async () => {
    const bound = new MemoryBound()
    const hands = new Hands()
    for (let i = 0; i < 10; i++) {
      await clockOf(hands, bound).start()
      hands.pass(50)
    }
    expect(bound.storedMs).toBeLessThan(hands.wallMs + 3100)
  })

  test('after a crash and the wall an hour back: no lead that could be waited for', async () => {
    const bound = new MemoryBound()
    const hands = new Hands()
    await clockOf(hands, bound).start()
    hands.set(-hour)
    const again = clockOf(hands, bound)
    await again.start()
    expect(again.leadMs()).toBe(0)
  })

  test('retired: nothing at or above the bound any more, and the next one has no lead', async () => {
    const bound = new MemoryBound()
    const hands = new Hands()
    const first = clockOf(hands, bound)
    await first.start()
    first.now()
    await first.retire()
    hands.pass(10)
    const last = first.now()
    expect(timestampMs(last)).toBeLessThan(bound.storedMs)
    const second = clockOf(hands, bound)
    await second.start()
    expect(second.leadMs()).toBe(0)
    expect(second.now() > last).toBe(true)
  })

  test('retired while another has the bound: it stays', async () => {
    const bound = new MemoryBound()
    const hands = new Hands()
    const first = clockOf(hands, bound)
    await first.start()
    hands.pass(5000)
    const second = clockOf(hands, bound)
    await second.start()
    const storedMs = bound.storedMs
    await first.retire()
    expect(bound.storedMs).toBe(storedMs)
  })

  /** Started on a shard that has been served before, long enough ago that there is no lead. */
  const restartedAfter = async (step: number, hands: Hands, bound = new MemoryBound()): Promise<HlcClock> => {
    bound.storedMs = hands.wallMs - 10_000
    hands.set(step)
    const { wallMs, monoMs } = { wallMs: () => hands.wallMs, monoMs: () => hands.monoMs }
    const clock = new HlcClock({ wallMs, monoMs, maxOffsetMs: 500, bound, meets: true })
    await clock.start()
    return clock
  }

  for (const step of [hour, -hour]) {
    test(`restart with the wall an hour ${step > 0 ? 'ahead' : 'back'}: it takes the time of who speaks first`, async () => {
      const [mine, theirs] = [new Hands(), new Hands()]
      const bound = new MemoryBound()
      const clock = await restartedAfter(step, mine, bound)
      expect(bound.writes).toBe(0)
      const peer = clockOf(theirs)
      clock.hear(peer.now())
      await clock.settled()
      peer.observe(clock.now())
      expect(Math.abs(bound.storedMs - theirs.wallMs)).toBeLessThan(3600)
      mine.pass(5000)
      theirs.pass(5000)
      clock.hear(peer.now())
      peer.observe(clock.stamp())
    })
  }

  test('restart: before anybody has said what time it is: a guess, which binds nobody', async () => {
    const hands = new Hands()
    const clock = await restartedAfter(hour, hands)
    expect(timestampMs(clock.stamp())).toBe(hands.wallMs)
    clock.hear(0n)
    clock.hear(toTimestamp(hands.wallMs - hour, 0))
    await clock.settled()
    expect(timestampMs(clock.now())).toBe(hands.wallMs - hour)
  })

  test('restart: a decision found in the log is not the time', async () => {
    const hands = new Hands()
    const bound = new MemoryBound()
    const clock = await restartedAfter(hour, hands, bound)
    const decided = toTimestamp(bound.storedMs + 500, 0)
    clock.observe(decided)
    await clock.cover(decided)
    expect(bound.storedMs).toBe(timestampMs(decided) + 3000)
    clock.hear(toTimestamp(hands.wallMs - hour, 0))
    await clock.settled()
    expect(timestampMs(clock.now())).toBe(hands.wallMs - hour)
  })

  test('restart: the first that it heard had been held up: it takes the later one', async () => {
    const hands = new Hands()
    const clock = await restartedAfter(hour, hands)
    clock.hear(toTimestamp(hands.wallMs - hour - 4000, 0))
    clock.hear(toTimestamp(hands.wallMs - hour, 0))
    for (let n = 0; n < 20; n++) {
      hands.pass(2_000)
      clock.hear(toTimestamp(hands.wallMs - hour, 0))
    }
    hands.pass(4_000)
    expect(codeOf(() => clock.hear(toTimestamp(hands.wallMs - hour + 4000, 0)))).toBe('58000')
  })

  /** Its wall is 1.5 s behind, and the first word, held up for 1.2 s, seems to agree with it. */
  const behindAndAgreed = async (hands: Hands): Promise<HlcClock> => {
    const clock = await restartedAfter(-1500, hands)
    clock.hear(toTimestamp(hands.wallMs + 300, 0))
    return clock
  }

  test('restart: a wall that is behind, a first word held up as long: the others are not refused for ever', async () => {
    const hands = new Hands()
    const clock = await behindAndAgreed(hands)
    hands.pass(1000)
    expect(codeOf(() => clock.hear(toTimestamp(hands.wallMs + 1500, 0)))).toBe('58000')
    hands.pass(2000)
    clock.hear(toTimestamp(hands.wallMs + 1500, 0))
    await clock.cover(toTimestamp(hands.wallMs + 1500, 0))
    expect(timestampMs(clock.now())).toBe(hands.wallMs + 1500)
  })

  test('restart: as long as somebody agrees with it, one who is ahead is refused', async () => {
    const hands = new Hands()
    const clock = await behindAndAgreed(hands)
    for (let n = 0; n < 30; n++) {
      hands.pass(2_000)
      clock.hear(toTimestamp(hands.wallMs + 100, 0))
      expect(codeOf(() => clock.hear(toTimestamp(hands.wallMs + 1500, 0)))).toBe('58000')
    }
  })

  test('a timestamp that was held up does not bear out a wall that was set back as far', () => {
    const hands = new Hands()
    const clock = clockOf(hands)
    clock.now()
    hands.pass(10_000)
    hands.set(-4000)
    clock.observe(toTimestamp(hands.wallMs, 0))
    expect(timestampMs(clock.now())).toBe(hands.wallMs + 4000)
  })

  test('stamp: moved ahead by others: it says the time, and issues nothing', () => {
    const hands = new Hands()
    const clock = clockOf(hands)
    clock.observe(toTimestamp(hands.wallMs + 400, 0))
    expect(timestampMs(clock.stamp())).toBe(hands.wallMs)
    expect(timestampMs(clock.now())).toBe(hands.wallMs + 400)
  })
})
