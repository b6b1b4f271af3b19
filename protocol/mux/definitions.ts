/**
 * Settings and prepared statements go over a link once and are then referred to by a number. The sender decides what
 * to forget; as frames stay in order, the receiver knows whatever an exec refers to.
 */
import type { ExecRequest, Settings, StatementRef } from '../agent-link.ts'
import {
  KIND,
  muxViolation,
  SETTINGS_BYTES_MAX,
  SETTINGS_MAX,
  STATEMENT_BYTES_MAX,
  STATEMENTS_MAX,
} from './frame-kinds.ts'
import type { FrameWriter } from './frame-writer.ts'
import { writeForget, writeSettingsDefine, writeStatementDefine } from './link-frames.ts'

interface Sent {
  readonly handle: number
  readonly bytes: number
  /** The exec that used it last. */
  round: number
}

/** The sender's side. */
export class SentDefinitions {
  /** Handles of the statements of the exec that `refer` saw last. */
  readonly needs: number[] = []
  private readonly settingsSent: SentTable<Settings>
  private readonly statementsSent: SentTable<string>
  private nextHandle = 1
  private round = 0

  constructor(settingsMax = SETTINGS_MAX, statementsMax = STATEMENTS_MAX) {
    this.settingsSent = new SentTable(KIND.settingsForget, settingsMax, SETTINGS_BYTES_MAX)
    this.statementsSent = new SentTable(KIND.statementForget, statementsMax, STATEMENT_BYTES_MAX)
  }

  /** Defines what `request` needs and the peer lacks; answers the handle of its settings, `needs` has the rest. */
  refer(out: FrameWriter, request: ExecRequest): number {
    this.round++
    this.needs.length = 0
    if (request.needs !== undefined) {
      for (const statement of request.needs) this.needs.push(this.statement(out, statement))
    }
    return this.settings(out, request.settings)
  }

  private settings(out: FrameWriter, settings: Settings): number {
    const found = this.settingsSent.use(settings, this.round)
    if (found !== 0) return found
    const handle = this.newHandle()
    this.settingsSent.add(out, settings, { handle, bytes: settings.sql.length, round: this.round })
    writeSettingsDefine(out, handle, settings)
    return handle
  }

  private statement(out: FrameWriter, statement: StatementRef): number {
    const found = this.statementsSent.use(statement.name, this.round)
    if (found !== 0) return found
    const handle = this.newHandle()
    const bytes = statement.parse.length
    this.statementsSent.add(out, statement.name, { handle, bytes, round: this.round })
    writeStatementDefine(out, handle, statement)
    return handle
  }

  private newHandle(): number {
    const handle = this.nextHandle
    this.nextHandle = handle === 0xffffffff ? 1 : handle + 1
    return handle
  }
}

/** What the peer knows of one kind; those not used for longest are forgotten when they are too many, or too large. */
class SentTable<Key> {
  private readonly sent = new Map<Key, Sent>()
  private readonly kind: typeof KIND.settingsForget | typeof KIND.statementForget
  private readonly max: number
  private readonly bytesMax: number
  private bytes = 0

  constructor(kind: SentTable<Key>['kind'], max: number, bytesMax: number) {
    this.kind = kind
    this.max = max
    this.bytesMax = bytesMax
  }

  /** The handle, or 0. */
  use(key: Key, round: number): number {
    const { sent } = this
    const found = sent.get(key)
    if (found === undefined) return 0
    found.round = round
    if (sent.size > this.max / 2 || this.bytes > this.bytesMax / 2) {
      // Its turn to be forgotten comes last again; as long as there is plenty of room nobody's comes.
      sent.delete(key)
      sent.set(key, found)
    }
    return found.handle
  }

  add(out: FrameWriter, key: Key, entry: Sent): void {
    this.makeRoom(out, entry)
    this.sent.set(key, entry)
    this.bytes += entry.bytes
  }

  /** Never by one that the exec at hand needs. */
  private makeRoom(out: FrameWriter, { bytes: added, round: now }: Sent): void {
    for (const [key, { handle, bytes, round }] of this.sent) {
      if (this.sent.size < this.max && this.bytes + added <= this.bytesMax) return
      if (round === now) continue
      this.sent.delete(key)
      this.bytes -= bytes
      writeForget(out, this.kind, handle)
    }
  }
}

/** The receiver's side. */
export class ReceivedDefinitions {
  private readonly settingsKnown = new Map<number, Settings>()
  private readonly statementsKnown = new Map<number, readonly [StatementRef]>()

  defineSettings(settings: Settings): void {
    if (this.settingsKnown.size > SETTINGS_MAX) throw muxViolation('too many settings')
    this.settingsKnown.set(settings.id, settings)
  }

  forgetSettings(handle: number): void {
    this.settingsKnown.delete(handle)
  }

  settings(handle: number): Settings {
    const settings = this.settingsKnown.get(handle)
    if (settings === undefined) throw muxViolation(`settings ${handle} are not defined`)
    return settings
  }

  defineStatement(handle: number, ref: StatementRef): void {
    // Those of one exec stay, however many they are.
    if (this.statementsKnown.size > STATEMENTS_MAX + 0xffff) throw muxViolation('too many statements')
    this.statementsKnown.set(handle, [ref])
  }

  forgetStatement(handle: number): void {
    this.statementsKnown.delete(handle)
  }

  /** A list of one, as most execs want it. */
  oneStatement(handle: number): readonly [StatementRef] {
    const statement = this.statementsKnown.get(handle)
    if (statement === undefined) throw muxViolation(`statement ${handle} is not defined`)
    return statement
  }
}
