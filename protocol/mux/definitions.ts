/**
 * Settings and prepared statements go over a link once and are then referred to by a number. The sender decides what
 * to forget; as frames stay in order, the receiver knows whatever an exec refers to.
 */
import type { ExecRequest, Settings, StatementRef } from '../agent-link.ts'
import { KIND, muxViolation, SETTINGS_MAX, STATEMENT_BYTES_MAX, STATEMENTS_MAX } from './frame-kinds.ts'
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
  private readonly settingsSent = new Map<Settings, Sent>()
  private readonly statementsSent = new Map<string, Sent>()
  private readonly settingsMax: number
  private readonly statementsMax: number
  private statementBytes = 0
  private nextHandle = 1
  private round = 0

  constructor(settingsMax = SETTINGS_MAX, statementsMax = STATEMENTS_MAX) {
    this.settingsMax = settingsMax
    this.statementsMax = statementsMax
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
    const found = this.use(this.settingsSent, settings, this.settingsMax)
    if (found !== 0) return found
    this.evict(out, this.settingsSent, this.settingsMax - 1, KIND.settingsForget)
    const handle = this.newHandle()
    this.settingsSent.set(settings, { handle, bytes: 0, round: this.round })
    writeSettingsDefine(out, handle, settings)
    return handle
  }

  private statement(out: FrameWriter, statement: StatementRef): number {
    const found = this.use(this.statementsSent, statement.name, this.statementsMax)
    if (found !== 0) return found
    const bytes = statement.parse.length
    this.evict(out, this.statementsSent, this.statementsMax - 1, KIND.statementForget, bytes)
    const handle = this.newHandle()
    this.statementsSent.set(statement.name, { handle, bytes, round: this.round })
    this.statementBytes += bytes
    writeStatementDefine(out, handle, statement)
    return handle
  }

  /** The handle, or 0. */
  private use<Key>(sent: Map<Key, Sent>, key: Key, max: number): number {
    const found = sent.get(key)
    if (found === undefined) return 0
    found.round = this.round
    if (sent.size > max / 2) {
      // Its turn to be forgotten comes last again; as long as there is plenty of room nobody's comes.
      sent.delete(key)
      sent.set(key, found)
    }
    return found.handle
  }

  /** Forgets those not used for longest, never one that the exec at hand needs. */
  private evict<Key>(
    out: FrameWriter,
    sent: Map<Key, Sent>,
    countMax: number,
    kind: typeof KIND.settingsForget | typeof KIND.statementForget,
    bytes = 0,
  ): void {
    for (const [key, { handle, bytes: freed, round }] of sent) {
      const isFull = sent.size > countMax || (bytes > 0 && this.statementBytes + bytes > STATEMENT_BYTES_MAX)
      if (!isFull) return
      if (round === this.round) continue
      sent.delete(key)
      this.statementBytes -= freed
      writeForget(out, kind, handle)
    }
  }

  private newHandle(): number {
    const handle = this.nextHandle
    this.nextHandle = handle === 0xffffffff ? 1 : handle + 1
    return handle
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
