import type { CustomNames, Settings } from '../../protocol/agent-link.ts'
import { isCustom } from '../../sql/code/custom-settings.ts'
import { isOff } from '../../sql/plan/utility/refuse-setting.ts'
import { meaningOf } from './plan-meaning.ts'

/** One setting to restore: its name in lower case and the value as `set_config` takes it. */
export interface Assignment {
  readonly name: string
  /** null, of a custom setting: the session has had it, and has no value of its own for it now. */
  readonly value: string | null
}

/** Longer ones are nobody else's, and not worth keeping for a session that may have them again. */
const INTERNED_BYTES_MAX = 16 * 1024

const CONFORMING = 'standard_conforming_strings'

/** The settings of a session without any. */
export const NO_SETTINGS: Settings = { id: 0, sql: '', meaning: '' }

const madeOf = new WeakMap<Settings, readonly Assignment[]>()

/** Of settings that an interner made. */
export function assignmentsOf(settings: Settings): readonly Assignment[] {
  return madeOf.get(settings) ?? []
}

/** Another object for the same settings. */
export function derivedFrom(settings: Settings, derived: Settings): Settings {
  madeOf.set(derived, assignmentsOf(settings))
  return derived
}

/** Of settings the same with something more, one object for each: what is derived of it is kept by that. */
export function deriving(
  change: (settings: Settings) => Partial<Settings>,
): (settings: Settings) => Settings {
  const known = new WeakMap<Settings, Settings>()
  return (settings) => {
    const found = known.get(settings)
    if (found !== undefined) return found
    const made = derivedFrom(settings, { ...settings, ...change(settings) })
    known.set(settings, made)
    return made
  }
}

/**
 * Turns equal assignments into one `Settings` object, so that agents compare ids only. Bounded: contents that have
 * not been asked for lately are forgotten and get a new id when they come back; an id is never given twice.
 */
export class SettingsInterner {
  private readonly byContent = new Map<string, Settings>()
  private nextId = 1
  private readonly entriesMax: number

  constructor(options: { readonly entriesMax?: number } = {}) {
    this.entriesMax = options.entriesMax ?? 1024
  }

  intern(assignments: readonly Assignment[]): Settings {
    if (assignments.length === 0) return NO_SETTINGS
    const sql = settingsSql(assignments)
    const custom = customNamesOf(assignments)
    const escapes = assignments.some(({ name, value }) => name === CONFORMING && isOff(value ?? ''))
    if (sql.length > INTERNED_BYTES_MAX) return { id: this.nextId++, sql, custom, escapes }
    let settings = this.byContent.get(sql)
    // Taken out and put back: a Map keeps the order of insertion, so the first entry is the least used one.
    if (settings !== undefined) this.byContent.delete(sql)
    else {
      settings = { id: this.nextId++, sql, meaning: meaningOf(assignments), custom, escapes }
      madeOf.set(settings, assignments)
    }
    this.byContent.set(sql, settings)
    if (this.byContent.size > this.entriesMax) this.forgetOldest()
    return settings
  }

  get size(): number {
    return this.byContent.size
  }

  private forgetOldest(): void {
    for (const key of this.byContent.keys()) {
      this.byContent.delete(key)
      return
    }
  }
}

/**
 * One SELECT whose calls Postgres evaluates from left to right. `set_config` rather than SET: it takes every value as
 * SHOW prints it, lists and names with odd characters included, and needs no quoting rules per setting.
 */
/** What settings say of themselves. */
function customNamesOf(assignments: readonly Assignment[]): CustomNames | undefined {
  const own = assignments.flatMap(({ name }) => (isCustom(name) ? [name] : []))
  return own.length === 0 ? undefined : { own, asks: [], sets: [] }
}

function settingsSql(assignments: readonly Assignment[]): string {
  const calls = assignments.map(
    (a) =>
      `pg_catalog.set_config(${quoteLiteral(a.name)},${a.value === null ? 'NULL' : quoteLiteral(a.value)},false)`,
  )
  return `SELECT ${calls.join(',')}`
}

/** The E'' form means the same whatever standard_conforming_strings says. */
export function quoteLiteral(text: string): string {
  const quoted = text.replaceAll("'", "''")
  return quoted.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`
}
