/** What the settings of a backend say of the code that ran there. PURE. */
import type { Settings } from '../../protocol/agent-link.ts'
import { CONSISTENT_READS } from './consistent-reads.ts'
import type { SessionSettings } from './settings.ts'
import { assignmentsOf } from './settings-sql.ts'
import { IDLE_SESSION_TIMEOUT } from './time-limits.ts'

export interface FoundSetting {
  readonly name: string
  readonly value: string
}

/** As `current_setting` gives them, by lower-case name. */
export type Found = ReadonlyMap<string, string>

/**
 * Those that are not as the session has them: some code has set them. With `base`, which the backend was made to fit, and
 * a transaction that is over: what it still has of that is no change.
 */
export function changedSettings(
  found: Found,
  session: SessionSettings,
  base: Settings | undefined,
): readonly FoundSetting[] {
  const before = new Map<string, string | null>(
    base === undefined ? [] : assignmentsOf(base).map(({ name, value }) => [name, value]),
  )
  const changed: FoundSetting[] = []
  for (const [name, value] of found) {
    if (name.startsWith('weft.') && name !== CONSISTENT_READS) continue
    // The session converts, and sees to the time: every backend has these.
    if (name === 'client_encoding' && value === 'UTF8') continue
    if (name === IDLE_SESSION_TIMEOUT && value === '0') continue
    if (value === (session.get(name) ?? unset(name, session)) || before.get(name) === value) continue
    changed.push({ name, value })
  }
  // Who sets them last may be somebody who must not set the others.
  return changed.sort((a, b) => rank(a.name) - rank(b.name) || (a.name < b.name ? -1 : 1))
}

/** A custom setting that is '' may have been set by nobody. */
function unset(name: string, session: SessionSettings): string | undefined {
  if (name === 'role') return 'none'
  if (name === 'session_authorization') return session.login
  return name.includes('.') ? '' : undefined
}

const rank = (name: string): number => ['session_authorization', 'role'].indexOf(name)
