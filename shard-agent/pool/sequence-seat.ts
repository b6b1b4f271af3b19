/**
 * What sessions have drawn from sequences. Postgres remembers it with the connection (`currval`, `lastval`), so the backend
 * on which a session draws is its **seat**: the session gets that backend again whenever it is free. Before anybody else
 * gets it, what is there is read into the session's keeping. So it is in one backend at most, which is idle or the
 * session's, and in what was kept before that. (docs/decisions/0016-sequences-of-a-session.md) PURE.
 */
import { type ExecRequest, SEQUENCES } from '../../protocol/agent-link.ts'
import { quoteText } from '../../sql/plan/text-scan.ts'

/** Who draws. */
export interface Drawer {
  seat: SequenceSeat | undefined
  /** Older than what is at the seat. */
  kept: KeptValues | undefined
}

/** As `weft.sequence_state()` tells it: numbers as texts, by the sequence's oid. */
export interface KeptValues {
  readonly values: Readonly<Record<string, string>>
  readonly last: string | null
  /** Some could not be read before they were gone. */
  readonly lost: boolean
}

export const SEQUENCE_STATE = 'SELECT weft.sequence_state();'
const DISCARD_SEQUENCES = 'DISCARD SEQUENCES'
const NONE: KeptValues = { values: {}, last: null, lost: false }
const LOST: KeptValues = { ...NONE, lost: true }

const TOUCHES = SEQUENCES.draws | SEQUENCES.reads

export class SequenceSeat {
  private holder: Drawer | undefined
  /** Somebody has drawn here. */
  private isUsed = false
  /** What `weft.sequences` says. */
  private told: KeptValues | undefined

  get isTaken(): boolean {
    return this.holder !== undefined
  }

  /** Whether the request may run here as it is. */
  fits(drawer: Drawer, request: ExecRequest): boolean {
    if (this.holder !== undefined && this.holder !== drawer) return false
    return !this.mustEmpty(drawer, request) && !this.mustTell(drawer, request)
  }

  private mustEmpty(drawer: Drawer, { sequences = 0 }: ExecRequest): boolean {
    return this.isUsed && this.holder !== drawer && (sequences & TOUCHES) !== 0
  }

  private mustTell({ kept }: Drawer, { sequences = 0 }: ExecRequest): boolean {
    return this.told !== kept && (sequences & SEQUENCES.reads) !== 0
  }

  /** Statement with which the values of whoever else sits here are read, or nothing. */
  clearing(drawer: Drawer): string {
    return this.holder === undefined || this.holder === drawer ? '' : SEQUENCE_STATE
  }

  /** Statements after all settings were reset: nothing of others is left to a request that touches sequences. */
  preparing(drawer: Drawer, request: ExecRequest): string {
    this.told = undefined
    const emptying = this.mustEmpty(drawer, request) ? `;${DISCARD_SEQUENCES}` : ''
    if (!this.mustTell(drawer, request)) return emptying
    this.told = drawer.kept
    return `${emptying};SET ${told(drawer)}`
  }

  /** The values of whoever sat here have been read. */
  cleared(state: string | undefined): void {
    const { holder } = this
    if (holder === undefined) return
    holder.kept = merged(holder.kept, state === undefined ? LOST : (JSON.parse(state) as KeptValues))
    this.leave()
  }

  /** Statements that go ahead of a request inside an open transaction, in the same write; undefined: none. */
  ahead(drawer: Drawer, request: ExecRequest): readonly string[] | undefined {
    const empties = this.mustEmpty(drawer, request)
    const tells = this.mustTell(drawer, request)
    if (!empties && !tells) return undefined
    return [...(empties ? [DISCARD_SEQUENCES] : []), ...(tells ? [`SET LOCAL ${told(drawer)}`] : [])]
  }

  /** The request is on its way. */
  begun(drawer: Drawer, { sequences = 0 }: ExecRequest): void {
    if ((sequences & TOUCHES) !== 0 && this.holder !== drawer) this.isUsed = false
    if ((sequences & SEQUENCES.forgets) !== 0) {
      drawer.seat?.leave()
      drawer.kept = undefined
      this.isUsed = false
    }
    if ((sequences & SEQUENCES.draws) !== 0) this.take(drawer)
    if ((sequences & SEQUENCES.uses) !== 0) this.isUsed = true
  }

  private take(drawer: Drawer): void {
    if (drawer.seat !== this) drawer.seat?.lose()
    this.holder = drawer
    drawer.seat = this
    this.isUsed = true
  }

  /** Nobody knows what the backend's settings are. */
  untold(): void {
    this.told = undefined
  }

  /** Nothing is there any more: DISCARD ALL, or the connection is gone. */
  lose(): void {
    this.cleared(undefined)
    this.isUsed = false
    this.told = undefined
  }

  /** Whoever sits here wants nothing of it any more. */
  leave(): void {
    if (this.holder?.seat === this) this.holder.seat = undefined
    this.holder = undefined
  }
}

function told({ kept }: Drawer): string {
  return `weft.sequences = ${quoteText(kept === undefined ? '' : JSON.stringify(kept))}`
}

function merged(before: KeptValues = NONE, now: KeptValues): KeptValues {
  return {
    values: { ...before.values, ...now.values },
    last: now.last ?? before.last,
    lost: before.lost || now.lost,
  }
}
