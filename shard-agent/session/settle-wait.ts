import type { Gate } from '../gate/gate.ts'
import type { Unseen } from '../gate/gate-machine.ts'

/** A transaction that stays in doubt for longer than this is not waited for. */
const SETTLE_MS_MAX = 5_000

/** Until nothing prepared at or below `ts` is unsettled: `settled`, or after a while `late`. The answer stops it. */
export function waitForSettled(
  gate: Gate,
  ts: bigint,
  unseen: Unseen | undefined,
  settled: () => void,
  late: () => void,
): () => void {
  const stop = (): void => {
    clearTimeout(timer)
    forget()
  }
  const forget = gate.whenSettled(
    ts,
    () => {
      stop()
      settled()
    },
    unseen,
  )
  const timer = setTimeout(() => {
    stop()
    late()
  }, SETTLE_MS_MAX)
  return stop
}
