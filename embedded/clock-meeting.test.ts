import { expect, test } from 'vitest'
import { HlcClock, timestampMs, toTimestamp } from '../txn/hlc.ts'
import { ClockMeeting } from './clock-meeting.ts'

const hour = 3_600_000
const wallMs = 1_700_000_000_000

function setUp(): { meeting: ClockMeeting; clock: HlcClock; pass(ms: number): void } {
  let monoMs = 0
  const clock = new HlcClock({ wallMs: () => wallMs + monoMs, monoMs: () => monoMs, maxOffsetMs: 500 })
  const pass = (ms: number): void => {
    monoMs += ms
  }
  return { meeting: new ClockMeeting(clock, () => monoMs), clock, pass }
}

test('clock meeting: the agents are an hour ahead: their time is taken', () => {
  const { meeting, clock, pass } = setUp()
  const links = [meeting.forLink(), meeting.forLink()]
  expect(links[0]?.now()).toBe(0n)
  links[0]?.observe(toTimestamp(wallMs + hour, 0))
  pass(5000)
  links[1]?.observe(toTimestamp(wallMs + hour + 5000, 0))
  pass(5000)
  meeting.agree()
  expect(timestampMs(clock.now())).toBe(wallMs + hour + 10_000)
  links[0]?.observe(toTimestamp(wallMs + hour + 10_300, 0))
})

test('clock meeting: the agents have our time: as without it', () => {
  const { meeting, clock } = setUp()
  const link = meeting.forLink()
  link.observe(toTimestamp(wallMs + 3, 0))
  meeting.agree()
  expect(timestampMs(clock.now())).toBe(wallMs)
  expect(timestampMs(link.now())).toBe(wallMs)
})

test('clock meeting: later one agent of three says another time: refused; then most of them: it is taken', () => {
  const { meeting, clock, pass } = setUp()
  const links = [meeting.forLink(), meeting.forLink(), meeting.forLink()]
  for (const link of links) link.observe(toTimestamp(wallMs, 0))
  meeting.agree()
  expect(() => links[0]?.observe(toTimestamp(wallMs + hour, 0))).toThrow(/ahead/)
  expect(timestampMs(clock.now())).toBe(wallMs)
  pass(1000)
  links[1]?.observe(toTimestamp(wallMs + hour + 1000, 0))
  expect(timestampMs(clock.now())).toBe(wallMs + hour + 1000)
})

test('clock meeting: what the agents said had been held up: they are believed when they say more', () => {
  const { meeting, clock, pass } = setUp()
  const links = [meeting.forLink(), meeting.forLink(), meeting.forLink()]
  for (const link of links) link.observe(toTimestamp(wallMs + hour - 4000, 0))
  meeting.agree()
  pass(100)
  expect(() => links[0]?.observe(toTimestamp(wallMs + hour + 100, 0))).toThrow(/ahead/)
  links[1]?.observe(toTimestamp(wallMs + hour + 100, 0))
  links[0]?.observe(toTimestamp(wallMs + hour + 100, 1))
  expect(timestampMs(clock.now())).toBe(wallMs + hour + 100)
})
