import { WEFT_DEFAULTS } from '../../sql/plan/utility/several-settings.ts'
import { HOME } from '../execute/context.ts'
import { queryShard } from '../execute/shards/send.ts'
import { needsNoMap } from '../execute/transaction/map-change.ts'
import { TRANSACTION_DEFAULTS } from '../settings/isolation.ts'
import { NOTED, REPORTED, SHOW_SQL } from '../settings/reported.ts'
import { parseSearchPath } from '../settings/search-path.ts'
import { pushesDown } from '../settings/several-shards.ts'
import { TIME_LIMITS } from '../settings/time-limits.ts'
import type { ClientSession } from './client-session.ts'
import type { Respelt } from './written-strings.ts'

/** What follows from a session's settings: the names that its statements mean, and what its client is told of them. */
export class SessionParameters {
  private readonly session: ClientSession
  private defaultSearchPath = ''
  /** The transaction changed settings, and among them those that clients are told of. */
  private changedSettings = false
  private changedReported = false

  constructor(session: ClientSession) {
    this.session = session
  }

  /** Asks the home shard, as the client's role and with its settings, for what a server reports at start. */
  async greet(): Promise<void> {
    await this.session.node.encodings.load(this.session.settings.get('client_encoding'))
    const shown = await this.read()
    const noted = new Map(NOTED.map((name, i) => [name, shown[REPORTED.length + i]]))
    for (const name of TIME_LIMITS) this.session.timers.limits.noteDefault(name, noted.get(name))
    for (const name of TRANSACTION_DEFAULTS) this.session.txDefaults.note(name, noted.get(name))
    for (const name of WEFT_DEFAULTS) this.session.settings.noteDefault(name, noted.get(name))
    this.refresh()
    for (const message of this.session.out.parameters.take()) this.session.out.push(message)
  }

  private async read(): Promise<readonly (string | undefined)[]> {
    const { session } = this
    needsNoMap(session)
    const answer = await queryShard(session, session.line(HOME), SHOW_SQL, [], {
      writes: false,
      looks: false,
    })
    const shown = answer.rows[0]?.map((value) => value?.toString('utf8')) ?? []
    REPORTED.forEach((name, i) => {
      const value = shown[i]
      if (value === undefined) return
      const shownHere = name === 'client_encoding' ? (session.settings.get(name) ?? value) : value
      session.out.parameters.note(name, shownHere)
      if (name === 'search_path' && session.settings.get(name) === undefined) this.defaultSearchPath = value
    })
    this.refresh()
    return shown
  }

  async report(): Promise<void> {
    if (this.session.tx.isOpen && this.session.tx.failed) return
    await this.read()
  }

  refresh(): void {
    const { settings } = this.session
    this.session.text.use(settings.get('client_encoding'))
    this.session.strings.use(settings.get('standard_conforming_strings'), this.keptTexts())
    const value = settings.get('search_path') ?? this.defaultSearchPath
    const path = parseSearchPath(value, settings.effectiveRole) ?? []
    if (path.join('\0') !== this.session.searchPath().join('\0')) this.session.scopes.setPath(path)
    this.session.scopes.setPushdown(pushesDown(settings))
  }

  private *keptTexts(): Generator<Respelt> {
    yield* this.session.prepared.values()
    for (const { statement } of this.session.portals.values()) yield statement
  }

  /** A statement has changed settings, `reported` ones among them or not. */
  changed(reported: boolean): void {
    const { tx } = this.session
    this.refresh()
    this.changedSettings ||= tx.isOpen
    tx.setReported ||= tx.isOpen && reported
    this.changedReported ||= tx.setReported
  }

  /** SET LOCAL ends with the transaction, and ROLLBACK (TO) takes every SET back. */
  async takeBack(): Promise<void> {
    if (!this.changedSettings) return
    this.refresh()
    const tellsClient = this.changedReported
    this.changedSettings = this.session.tx.isOpen
    this.changedReported &&= this.changedSettings
    if (tellsClient) await this.report()
  }
}
