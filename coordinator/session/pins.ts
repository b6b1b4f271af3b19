import { weftError } from '../../errors/catalog.ts'
import type { PgError } from '../../errors/pg-error.ts'
import { ANY_NAME, isAmong } from '../../sql/code/custom-settings.ts'
import { EFFECT, NO_EFFECTS } from '../../sql/code/effects.ts'
import { HOME } from '../execute/context.ts'
import { refuseBySet } from '../execute/settings/setting.ts'
import { settle, simpleQuery } from '../execute/shards/send.ts'
import { settleAll } from '../execute/shards/settle-all.ts'
import type { ShardLine } from '../execute/shards/shard-line.ts'
import { changedSettings, type Found, type FoundSetting } from '../settings/found.ts'
import { quoteLiteral } from '../settings/settings-sql.ts'
import { IDLE_SESSION_TIMEOUT } from '../settings/time-limits.ts'
import { Channels } from './channels.ts'
import type { ClientSession } from './client-session.ts'
import { lookAt, type Seen } from './look.ts'

const UNSEEN = { writes: false, looks: false }
const AS_IT_IS = { ...UNSEEN, asItIs: true }

/**
 * Backends that a session keeps. A statement that may leave anything in its backend keeps it until somebody has looked:
 * settings become the session's own and go with it to every shard; temporary objects, locks, channels and cursors need
 * that very backend, which the session then has for as long as any are there.
 */
export class Pins {
  private readonly session: ClientSession
  private readonly channels: Channels
  /** After how many execs each was last looked at: where nothing has run since there is nothing new. */
  private readonly seenAt = new WeakMap<ShardLine, number>()
  private hasTicket = false
  /** Custom settings that statements of the running transaction may have set. */
  private readonly said = new Set<string>()

  constructor(session: ClientSession) {
    this.session = session
    this.channels = new Channels(session)
  }

  /** For a statement that is known to leave something: it keeps the home backend, and takes a place for that. */
  acquire(): void {
    this.takePlace()
    this.keep(this.session.line(HOME))
  }

  private takePlace(): void {
    if (this.hasTicket) return
    const { node } = this.session
    if (!node.pins.tryAcquire()) throw weftError('too_many_pins', { max: node.pins.max })
    this.hasTicket = true
  }

  private keep(line: ShardLine): void {
    line.kept = true
    this.session.state.kept.add(line)
  }

  /** Names that a statement says of custom settings: it may have set them. */
  saw(names: readonly string[]): void {
    for (const name of names) this.said.add(name)
  }

  /**
   * Looks at the backends that are kept: in a transaction for what its other shards must have too, after it for whether
   * they need be kept on. The answer: names of the settings that code has set.
   */
  async look(): Promise<readonly string[]> {
    const { session } = this
    const { state, tx } = session
    if ((state.leaving & EFFECT.seeds) !== 0 && (state.leaving & EFFECT.dynamic) === 0) state.seeded = true
    state.lasting ||= (state.leaving & EFFECT.lasts) !== 0
    state.leaving = NO_EFFECTS
    const asked = new Set(this.said)
    for (const name of state.maySetNames) if (!name.endsWith(ANY_NAME)) asked.add(name)
    for (const name of session.scope().catalog.code?.settingNames ?? []) asked.add(name)
    const changed: string[] = []
    // The home shard's first: others may be kept for what is there.
    for (const line of [...state.kept].sort((a, b) => a.shard - b.shard)) {
      if (tx.isOpen ? !line.joined : this.hasSeen(line)) continue
      changed.push(...(await this.lookAtLine(line, asked)))
      if (!tx.isOpen) this.seenAt.set(line, line.execs)
    }
    if (tx.isOpen) return changed
    this.said.clear()
    state.maySetNames.clear()
    if (state.kept.size === 0) this.close()
    return changed
  }

  private hasSeen(line: ShardLine): boolean {
    return line.session.holdsBackend && this.seenAt.get(line) === line.execs
  }

  private async lookAtLine(line: ShardLine, names: Iterable<string>): Promise<readonly string[]> {
    const { session } = this
    if (line.hasLostState) throw stateLost(line)
    if (!line.session.holdsBackend) {
      await this.letGo(line, 'clean')
      if (line.shard === HOME && !session.tx.isOpen) await this.channels.follow([])
      return []
    }
    const seen = await this.seenOn(line, names)
    if (line.shard === HOME) this.noteTemporary(seen)
    const { customCount } = session.settings
    const changed = await this.adopt(line, seen.settings)
    if (session.tx.isOpen) return changed
    // The backend is to be known for what was found there.
    if (session.settings.customCount > customCount) await simpleQuery(session, line, '', AS_IT_IS)
    if (line.shard === HOME) await this.channels.follow(seen.channels)
    const needed = seen.keeps || seen.temporary.length > 0 || session.state.seeded || session.state.lasting
    if (!needed) await this.letGo(line, 'looked at')
    else await this.keepOn()
    return changed
  }

  /** Nobody gets a backend that could not be looked at. */
  private async seenOn(line: ShardLine, names: Iterable<string>): Promise<Seen> {
    try {
      return await lookAt(this.session, line, names)
    } catch (error) {
      if (!this.session.tx.isOpen) await this.letGo(line, 'unseen')
      throw error
    }
  }

  /** It is there for good now; without a place for it, it goes, and the client hears why. */
  private async keepOn(): Promise<void> {
    try {
      this.takePlace()
    } catch (error) {
      await this.release()
      throw error
    }
  }

  private noteTemporary({ temporary, running }: Pick<Seen, 'temporary' | 'running'>): void {
    const { state, scopes } = this.session
    const isKnown =
      temporary.join() === [...state.tempTables].join() && running.join() === state.tempCode.join()
    if (isKnown) return
    state.tempTables = new Set(temporary)
    state.tempCode = running
    scopes.forget()
  }

  // Settings that code has changed

  /** They become the session's; in a transaction, for now, until its end, and on all of its shards. */
  private async adopt(line: ShardLine, found: Found): Promise<readonly string[]> {
    const { settings, tx } = this.session
    for (const name of found.keys()) if (this.mayHaveSet(name)) settings.touch(name)
    const changed = changedSettings(found, settings, tx.isOpen ? undefined : line.base)
    if (changed.length === 0) return []
    for (const { name, value } of changed) {
      const refused = refuseBySet(name, value)
      if (refused !== undefined) throw refused
    }
    for (const { name, value } of changed) {
      // The look has taken the time limit from the backend: nothing tells later whether it was for the transaction only.
      if (tx.isOpen && name !== IDLE_SESSION_TIMEOUT) settings.setLocal(name, value)
      else settings.set(name, value)
    }
    if (tx.isOpen) await this.tellOthers(line, changed)
    return changed.map(({ name }) => name)
  }

  /** One that only others had was asked for on no backend of theirs, or by no statement of this session. */
  private mayHaveSet(name: string): boolean {
    const { maySetNames } = this.session.state
    return maySetNames.has(name) || (this.said.has(name) && isAmong(name, maySetNames))
  }

  private async tellOthers(line: ShardLine, changed: readonly FoundSetting[]): Promise<void> {
    const { session } = this
    const { tx } = session
    tx.tainted = true
    const others = tx.joined.filter((other) => other !== line)
    const calls = changed.map(
      ({ name, value }) => `pg_catalog.set_config(${quoteLiteral(name)}, ${quoteLiteral(value)}, true)`,
    )
    const options = UNSEEN
    const tell = async (other: ShardLine) =>
      settle(session, other, await simpleQuery(session, other, `SELECT ${calls.join(', ')}`, options))
    await settleAll(others.map(tell))
  }

  // The end

  /** Of all that the session keeps. */
  async release(): Promise<void> {
    const { state, scopes } = this.session
    if (state.kept.size === 0) return
    state.tempTables = new Set()
    state.tempCode = []
    state.seeded = false
    state.lasting = false
    scopes.forget()
    for (const line of [...state.kept]) await this.letGo(line, 'unseen')
    this.close()
  }

  private async letGo(line: ShardLine, how: 'clean' | 'looked at' | 'unseen'): Promise<void> {
    line.letGo()
    this.session.state.kept.delete(line)
    if (how === 'looked at') line.session.giveBack()
    else if (how === 'unseen') await line.session.reset()
  }

  /** As in Postgres a session ends with what it has; undefined: all is there. */
  lost(): PgError | undefined {
    for (const line of this.session.state.kept) if (line.hasLostState) return stateLost(line)
    return undefined
  }

  /** Gives the place back. */
  close(): void {
    if (!this.hasTicket) return
    this.hasTicket = false
    this.session.node.pins.release()
  }
}

function stateLost({ shard }: ShardLine): PgError {
  return weftError('state_lost', { shard })
}
