import type { Op } from './op.ts'

/** One line of a history as JSON lines. */
export function toJson(op: Op): string {
  return JSON.stringify(op)
}
