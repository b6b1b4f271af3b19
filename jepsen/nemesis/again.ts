import type { OpValue } from '../history/op.ts'
import { Random } from '../run/random.ts'
import type { Broken } from './fault.ts'

/** A fault that is done over and over until it is mended. */
export function again(what: OpValue, random: Random, once: (own: Random) => Promise<void>): Broken {
  // What is drawn here depends on time, and must not move the schedule.
  const own = new Random(random.below(2 ** 31))
  let isOver = false
  const work = (async () => {
    while (!isOver) await once(own)
  })()
  return {
    what,
    mend: async () => {
      isOver = true
      await work
    },
  }
}
