import { DEADLOCK_DETECTED, deadlockReport, type SessionOf } from './deadlock-report.ts'
import { slotGuardError } from './slot-guard-error.ts'
import { unsetError } from './unset-error.ts'

export type { SessionOf } from './deadlock-report.ts'

/** What the client is told in place of an ErrorResponse `chunk[start, end)`; undefined: that. */
export function rewordedError(
  code: string,
  chunk: Buffer,
  start: number,
  end: number,
  sessionOf: SessionOf,
): Buffer | undefined {
  if (code === DEADLOCK_DETECTED) return deadlockReport(chunk, start, end, sessionOf)
  return slotGuardError(code, chunk, start, end) ?? unsetError(code, chunk, start, end)
}
