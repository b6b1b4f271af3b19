/** Brings a backend to what an exec wants: its settings, plans that mean the same, nothing that others have drawn. PURE. */
import type { ExecRequest } from '../../protocol/agent-link.ts'
import { parseDataRow } from '../../protocol/wire/backend-messages.ts'
import { MSG } from '../../protocol/wire/frames.ts'
import type { KeptPlans } from './kept-plans.ts'
import type { Drawer, SequenceSeat } from './sequence-seat.ts'

const HEADER_BYTES = 5

/**
 * A backend of the pool waits for work, and its client may wait for nothing meanwhile: how long sessions may idle is the
 * coordinator's to see. Last, as settings and RESET ALL may bring a limit.
 */
export const NEVER_IDLES_OUT = 'SET idle_session_timeout = 0'

/** Back to what the connection began with, then `settings`. */
export function preludeSql(settings: string): string {
  return `RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL;${settings};${NEVER_IDLES_OUT}`
}

export class Prelude {
  private readonly plans: KeptPlans
  private readonly seat: SequenceSeat
  /** Of the request that the settings were made for. */
  private mapVersion = 0
  /** The first ErrorResponse. */
  private error: Buffer | undefined
  /** Whoever else has drawn here is to keep it, and that has not been read yet. */
  private clears = false

  constructor(plans: KeptPlans, seat: SequenceSeat) {
    this.plans = plans
    this.seat = seat
  }

  isNeeded(drawer: Drawer, request: ExecRequest, settingsSql: string | undefined): boolean {
    const fits =
      settingsSql === request.settings.sql && this.plans.fit(request) && this.seat.fits(drawer, request)
    // A role of a name in them may have been dropped and created anew.
    const isOld = settingsSql !== '' && request.mapVersion > this.mapVersion
    return (!fits || isOld) && request.asItIs !== true
  }

  /** To be run as one Query. */
  sql(drawer: Drawer, request: ExecRequest): string {
    const { seat, plans } = this
    this.mapVersion = request.mapVersion
    const clearing = seat.clearing(drawer)
    this.clears = clearing !== ''
    const settings = preludeSql(request.settings.sql) + plans.preludeEnd(request)
    return clearing + settings + seat.preparing(drawer, request)
  }

  message(type: number, chunk: Buffer, start: number, end: number): void {
    if (type === MSG.errorResponse) this.error ??= Buffer.from(chunk.subarray(start, end))
    else if (type === MSG.dataRow && this.clears) {
      this.clears = false
      this.seat.cleared(parseDataRow(chunk, start + HEADER_BYTES, end)[0]?.toString())
    }
  }

  /** Its error; `again`: it is to be run once more. */
  end(): Buffer | 'again' | undefined {
    const { error, clears } = this
    this.error = undefined
    if (!clears || error === undefined) return error
    // Of what others have drawn, which is not the business of who comes next.
    this.seat.lose()
    return 'again'
  }
}
