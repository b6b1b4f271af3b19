/**
 * The settings of an exec that may ask for custom settings, or set some (docs/decisions/0024-custom-settings.md): the same,
 * with those names that the session has not had.
 */
import type { CustomNames, Settings } from '../../protocol/agent-link.ts'
import { type CustomUse, isAmong } from '../../sql/code/custom-settings.ts'
import { derivedFrom } from './settings-sql.ts'

/** As many of one session's texts are remembered as ask for other names. */
const USES_MAX = 64

interface Derived {
  /** Uses are those of plans, mostly. */
  readonly byUse: WeakMap<CustomUse, Settings>
  readonly byNames: Map<string, Settings>
}

const known = new WeakMap<Settings, Derived>()

export function using(settings: Settings, use: CustomUse): Settings {
  return derived(settings, use, withUse)
}

/** Of an exec that takes a backend for more than itself: what it sets is the session's own when the others come. */
export function keeping(settings: Settings, asks: CustomUse): Settings {
  return derived(settings, asks, withAsksLater)
}

type Derive = (names: CustomNames, use: CustomUse) => CustomNames

function derived(settings: Settings, use: CustomUse, derive: Derive): Settings {
  const all = known.get(settings) ?? { byUse: new WeakMap(), byNames: new Map() }
  const found = all.byUse.get(use)
  if (found !== undefined) return found
  const made = withNames(settings, derive(settings.custom ?? NO_NAMES, use), all.byNames)
  all.byUse.set(use, made)
  known.set(settings, all)
  return made
}

function withUse({ own, asks, sets }: CustomNames, use: CustomUse): CustomNames {
  return { own, asks: added(asks, use.asks, own), sets: added(sets, use.sets, own) }
}

function withAsksLater({ own, asks, sets }: CustomNames, later: CustomUse): CustomNames {
  const ownThen = added(own, sets, own)
  return { own: ownThen, asks: added(asks, later.asks, ownThen), sets: [] }
}

function withNames(settings: Settings, custom: CustomNames, byNames: Map<string, Settings>): Settings {
  const { own, asks, sets } = custom
  if (asks.length + sets.length === 0 && own.length === (settings.custom?.own.length ?? 0)) return settings
  const names = JSON.stringify([own, asks, sets])
  const found = byNames.get(names)
  if (found !== undefined) return found
  const made = derivedFrom(settings, { ...settings, custom })
  if (byNames.size >= USES_MAX) byNames.clear()
  byNames.set(names, made)
  return made
}

const NO_NAMES: CustomNames = { own: [], asks: [], sets: [] }

function added(to: readonly string[], names: readonly string[], own: readonly string[]): readonly string[] {
  const others = names.filter((name) => !isAmong(name, own) && !to.includes(name))
  return others.length === 0 ? to : [...to, ...others].sort()
}
