// Loaded into a node of the cluster: its wall clock is off by what the file WEFT_JEPSEN_WALL says, from the start and
// whenever it changes: milliseconds, parts in a million that it runs too fast, and since when. The monotonic clock goes on.
import { readFileSync } from 'node:fs'

const lookEveryMs = 20
const wall = Date.now.bind(Date)
let shiftMs = 0
let ppm = 0
let sinceMs = 0

function look() {
  try {
    ;[shiftMs, ppm, sinceMs] = readFileSync(process.env.WEFT_JEPSEN_WALL, 'utf8').split(' ').map(Number)
  } catch {
    shiftMs = 0
    ppm = 0
  }
}

look()
setInterval(look, lookEveryMs).unref()
Date.now = () => {
  const now = wall()
  return Math.round(now + shiftMs + ((now - sinceMs) * ppm) / 1e6)
}
