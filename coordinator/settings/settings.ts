import type { Settings } from '../../protocol/agent-link.ts'
import { isCustom } from '../../sql/code/custom-settings.ts'
import { isOn } from '../../sql/plan/utility/refuse-setting.ts'
import { isSingleByte } from './client-encoding.ts'
import { type SettingsAccount, SettingsMemory } from './settings-memory.ts'
import type { Assignment, SettingsInterner } from './settings-sql.ts'
import { hasSeveralBytes } from './several-bytes.ts'

export interface Entry {
  /** `undefined`: explicitly back at the server's default, over whatever lies below. */
  readonly value: string | undefined
  /** Set while a role or session authorization was in force: only that identity may be allowed to set it. */
  readonly afterIdentity: boolean
}

export type Layer = ReadonlyMap<string, Entry>

/** What SET and SET LOCAL have done so far; a savepoint keeps one of these and brings it back. */
export interface Levels {
  readonly session: Layer
  readonly local: Layer
}

const EMPTY: Layer = new Map()
const SERVER_DEFAULT: Entry = { value: undefined, afterIdentity: false }
const IDENTITY = ['session_authorization', 'role'] as const

/**
 * The settings of one client session, wherever its statements run, with Postgres' transaction rules: ROLLBACK takes
 * back every SET of the transaction, COMMIT keeps SETs and drops SET LOCALs, savepoints nest. It is told about
 * statements that succeeded; names come in lower case, values as `set_config` takes them.
 */
export class SessionSettings {
  private readonly interner: SettingsInterner
  private readonly user: string
  private readonly memory: SettingsMemory
  /** From the startup packet: what RESET goes back to. */
  private readonly startup: Layer
  private levels: Levels = { session: EMPTY, local: EMPTY }
  /** Custom settings that it has had: Postgres never forgets that in a connection. */
  private touched: Layer = EMPTY
  /** At BEGIN; undefined outside a transaction. */
  private atBegin: Levels | undefined
  private savepoints: { readonly name: string; readonly levels: Levels }[] = []
  private interned: Settings | undefined
  /** Of Weft's own settings, what the role, the database or the server's files say. */
  private readonly defaults = new Map<string, string>()

  constructor(options: {
    readonly interner: SettingsInterner
    readonly user: string
    readonly startup?: ReadonlyMap<string, string>
    readonly account?: SettingsAccount
  }) {
    this.interner = options.interner
    this.user = options.user
    this.memory = new SettingsMemory(options.account)
    const startup = [...(options.startup ?? [])].filter(([name, value]) => !isServerDefault(name, value))
    this.startup = new Map(startup.map(([name, value]) => [name, { value, afterIdentity: false }]))
    for (const [name] of startup) this.touch(name)
  }

  /** The interned object to send with each statement. */
  effective(): Settings {
    this.interned ??= this.interner.intern(this.assignments())
    return this.interned
  }

  /** The value this session gave a setting; undefined when the server's default holds. */
  get(name: string): string | undefined {
    return this.entry(name)?.value
  }

  /** The value in force, of those settings whose defaults have been noted. */
  inForce(name: string): string | undefined {
    return this.get(name) ?? this.defaults.get(name)
  }

  /** What the home shard showed when the session began; '' for what nobody has set. */
  noteDefault(name: string, shown: string | undefined): void {
    if (shown !== undefined && shown !== '') this.defaults.set(name, shown)
  }

  /** Of all that this session gave a value, or took it back from. */
  names(): ReadonlySet<string> {
    const { session, local } = this.levels
    return new Set([...this.startup.keys(), ...session.keys(), ...local.keys(), ...this.touched.keys()])
  }

  /** The login's name. */
  get login(): string {
    return this.user
  }

  /** The startup packet's value, as the client wrote it. */
  atStart(name: string): string | undefined {
    return this.startup.get(name)?.value
  }

  /** Whose privileges statements have: the role, else the session authorization, else the login. */
  get effectiveRole(): string {
    return this.get('role') ?? this.get('session_authorization') ?? this.user
  }

  /** As whom statements run, and nothing else that the session has set. */
  identity(): Settings {
    return this.interner.intern(this.identityAssignments())
  }

  /** SET name = value; null for SET name TO DEFAULT. */
  set(name: string, value: string | null): void {
    this.touch(name)
    if (value === null) {
      this.reset(name)
      return
    }
    const session = this.changed(this.levels.session, name, this.made(name, value))
    this.change({ session, local: without(this.levels.local, coveredBy(name)) })
  }

  /** SET LOCAL; without effect outside a transaction, as in Postgres. */
  setLocal(name: string, value: string | null): void {
    this.touch(name)
    if (this.atBegin === undefined) return
    const entry = value === null ? this.below(name) : this.made(name, value)
    this.change({ ...this.levels, local: this.changed(this.levels.local, name, entry) })
  }

  /** Custom settings that it has had. */
  customNames(): readonly string[] {
    return this.effective().custom?.own ?? []
  }

  /** How many. */
  get customCount(): number {
    return this.touched.size
  }

  /** The session has had it, whatever becomes of its value. */
  touch(name: string): void {
    if (!isCustom(name) || this.touched.has(name)) return
    this.touched = new Map([...this.touched, [name, SERVER_DEFAULT]])
    this.change(this.levels)
  }

  /** RESET name: back to the startup packet's value, or the server's. */
  reset(name: string): void {
    this.touch(name)
    const names = coveredBy(name)
    this.change({
      session: without(this.levels.session, names),
      local: without(this.levels.local, names),
    })
  }

  /** RESET ALL leaves the role and the session authorization, as in Postgres. */
  resetAll(): void {
    const identity = (layer: Layer): Layer => new Map([...layer].filter(([name]) => isIdentity(name)))
    this.change({ session: identity(this.levels.session), local: identity(this.levels.local) })
  }

  /** DISCARD ALL. */
  discardAll(): void {
    this.change({ session: EMPTY, local: EMPTY })
  }

  get inTransaction(): boolean {
    return this.atBegin !== undefined
  }

  /** Start of a transaction, explicit or implicit. */
  begin(): void {
    this.atBegin ??= this.levels
  }

  commit(): void {
    this.change({ session: this.levels.session, local: EMPTY })
    this.end()
  }

  rollback(): void {
    if (this.atBegin !== undefined) this.change(this.atBegin)
    this.end()
  }

  savepoint(name: string): void {
    this.savepoints.push({ name, levels: this.levels })
  }

  /** What happened since stays, SET LOCALs too. */
  release(name: string): void {
    const at = this.savepoints.findLastIndex((s) => s.name === name)
    if (at >= 0) this.savepoints.length = at
  }

  /** The savepoint itself stays and can be rolled back to again. */
  rollbackTo(name: string): void {
    const at = this.savepoints.findLastIndex((s) => s.name === name)
    const found = this.savepoints[at]
    if (found === undefined) return
    this.savepoints.length = at + 1
    this.change(found.levels)
  }

  private end(): void {
    this.atBegin = undefined
    this.savepoints = []
    this.memory.keep(this.levels, this.touched, [])
  }

  /** Throws 53200, and changes nothing then. */
  private change(levels: Levels): void {
    const before = this.savepoints.map((savepoint) => savepoint.levels)
    this.memory.keep(levels, this.touched, this.atBegin === undefined ? before : [this.atBegin, ...before])
    this.levels = levels
    this.interned = undefined
  }

  private entry(name: string): Entry | undefined {
    return this.levels.local.get(name) ?? this.levels.session.get(name) ?? this.startup.get(name)
  }

  /** What SET LOCAL … TO DEFAULT shows: the value under the session's own. */
  private below(name: string): Entry {
    return this.startup.get(name) ?? SERVER_DEFAULT
  }

  private made(name: string, value: string): Entry {
    if (isServerDefault(name, value)) return SERVER_DEFAULT
    const underIdentity = IDENTITY.some((i) => this.get(i) !== undefined)
    return { value, afterIdentity: underIdentity && !isIdentity(name) }
  }

  /** A copy with one entry more; a change of the session authorization undoes the role, as Postgres does. */
  private changed(layer: Layer, name: string, entry: Entry): Layer {
    const copy = new Map(layer)
    copy.set(name, entry)
    if (name === 'session_authorization') copy.set('role', SERVER_DEFAULT)
    return copy
  }

  /**
   * In an order in which Postgres lets each be set: first what the login itself set, then who it became, then what it
   * set as that. Sorted by name within those, so that equal contents give equal text.
   */
  private assignments(): readonly Assignment[] {
    const names = new Set([
      ...this.startup.keys(),
      ...this.levels.session.keys(),
      ...this.levels.local.keys(),
      ...this.touched.keys(),
    ])
    const before: Assignment[] = []
    const after: Assignment[] = []
    for (const name of [...names].sort()) {
      const { value, afterIdentity } = this.entry(name) ?? SERVER_DEFAULT
      if (value === undefined && this.touched.has(name)) before.push({ name, value: null })
      if (value === undefined || isIdentity(name) || isKeptHere(name, value)) continue
      ;(afterIdentity && this.hasIdentity ? after : before).push({ name, value })
    }
    return [...before, ...this.identityAssignments(), ...after]
  }

  private identityAssignments(): readonly Assignment[] {
    return IDENTITY.flatMap((name) => {
      const value = this.get(name)
      return value === undefined ? [] : [{ name, value }]
    })
  }

  private get hasIdentity(): boolean {
    return IDENTITY.some((name) => this.get(name) !== undefined)
  }
}

function isIdentity(name: string): boolean {
  return name === 'role' || name === 'session_authorization'
}

/** Shards are told UTF8: the session converts. */
function isKeptHere(name: string, value: string): boolean {
  return name === 'client_encoding' && (isSingleByte(value) || hasSeveralBytes(value))
}

/** Settings whose entries go when `name` is set or reset. */
function coveredBy(name: string): readonly string[] {
  return name === 'session_authorization' ? IDENTITY : [name]
}

function without(layer: Layer, names: readonly string[]): Layer {
  return names.some((name) => layer.has(name))
    ? new Map([...layer].filter(([name]) => !names.includes(name)))
    : layer
}

/**
 * Values that every backend has after a reset: they are not worth a set of backends of their own. Agents connect with
 * client_encoding UTF8 and standard_conforming_strings on.
 */
function isServerDefault(name: string, value: string): boolean {
  if (name === 'role') return value === 'none'
  if (name === 'standard_conforming_strings') return isOn(value)
  return name === 'client_encoding' && /^(utf[-_ ]?8|unicode)$/i.test(value)
}
