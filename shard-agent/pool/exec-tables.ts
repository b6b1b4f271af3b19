/** What an exec looks at, passes on and leaves out of its replies. PURE. */
import { MSG } from '../../protocol/wire/frames.ts'
import { DROP, EXAMINE, PASS, type RuleTable, ruleTable } from './reply-scanner.ts'

export const AHEAD_TABLE = ruleTable(EXAMINE, {})
export const DROP_TABLE = ruleTable(DROP, { E: EXAMINE, A: EXAMINE })
export const SWALLOW_BIND = 3
export const SWALLOW_ALL = 7
export const SPLIT_MASK = 8
/** By swallow mask; SPLIT_MASK is for split writes, which have to see completions. */
export const PAYLOAD_TABLES: readonly RuleTable[] = Array.from({ length: 16 }, (_, mask) =>
  ruleTable(PASS, {
    E: EXAMINE,
    G: EXAMINE,
    A: EXAMINE,
    N: EXAMINE,
    1: mask & 1 ? DROP : PASS,
    2: mask & 2 ? DROP : PASS,
    n: mask & 4 ? DROP : PASS,
    ...(mask & SPLIT_MASK ? { C: EXAMINE, I: EXAMINE, s: EXAMINE } : {}),
  }),
)

/** Belongs to no reply. */
export function isAside(type: number): boolean {
  return type === MSG.noticeResponse || type === MSG.parameterStatus
}
