import type { Settings } from '../../protocol/agent-link.ts'
import { derivedFrom } from './settings-sql.ts'

const known = new WeakMap<Settings, Settings>()

/** The settings of an exec after which nobody else may have its backend (sql/code/lasting-state.ts). */
export function spoiling(settings: Settings): Settings {
  const found = known.get(settings)
  if (found !== undefined) return found
  const made = derivedFrom(settings, { ...settings, spoils: true })
  known.set(settings, made)
  return made
}
