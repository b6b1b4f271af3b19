// Loaded into a node of a test cluster: its wall clock is off by the milliseconds in the file WEFT_TEST_WALL, from the start
// and whenever the file changes. The monotonic clock goes on, as when somebody sets a machine's clock.
import { readFileSync } from 'node:fs'

const lookEveryMs = 20
const wall = Date.now.bind(Date)
let shiftMs = 0

function look() {
  try {
    shiftMs = Number(readFileSync(process.env.WEFT_TEST_WALL, 'utf8'))
  } catch {
    shiftMs = 0
  }
}

look()
setInterval(look, lookEveryMs).unref()
Date.now = () => wall() + shiftMs
