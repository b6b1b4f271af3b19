import type { MemoryAccount } from '../memory/memory-budget.ts'
import { SessionSettings } from './settings.ts'
import { SettingsInterner } from './settings-sql.ts'
import { startupSettings } from './startup-settings.ts'

export { SessionSettings }

/** One per process: equal settings of any sessions are one object. */
const interner = new SettingsInterner()

/** The settings a client starts with. Throws FATAL for those that Postgres would not start with. */
export function sessionSettings(
  user: string,
  startup: ReadonlyMap<string, string>,
  account: MemoryAccount,
): SessionSettings {
  return new SessionSettings({ interner, user, startup: startupSettings(startup), account })
}
