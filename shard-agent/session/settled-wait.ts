import { weftError } from '../../errors/catalog.ts'
import type { PgError } from '../../errors/pg-error.ts'
import type { ExecRequest } from '../../protocol/agent-link.ts'
import type { Gate } from '../gate/gate.ts'
import type { Unseen } from '../gate/gate-machine.ts'

/** Recovery settles what has been in doubt for a second, wherever it is: then others may have seen it. */
const UNSEEN_MS_MAX = 500

/** A transaction that stays in doubt for longer than this is not waited for. */
const SETTLE_MS_MAX = 5_000

/** A session's wait until what it has seen on another shard is here too, before it looks. */
export class SettledWait {
  private readonly gate: Gate
  private readonly shard: number
  private stopWaiting: (() => void) | undefined

  constructor(gate: Gate, shard: number) {
    this.gate = gate
    this.shard = shard
  }

  /** False: there is nothing to wait for. Else one of the two is called, unless it is stopped before. */
  begin(request: ExecRequest, link: string, settled: () => void, refused: (error: PgError) => void): boolean {
    const { seen } = request
    const { gate, shard } = this
    if (seen === undefined) return false
    const unseen = unseenBy(request, link)
    const gid = gate.unsettled(seen, unseen)
    if (gid === undefined) return false
    const timer = setTimeout(() => {
      this.stop()
      refused(weftError('in_doubt', { shard, gid }))
    }, SETTLE_MS_MAX)
    const forget = gate.whenSettled(
      seen,
      () => {
        clearTimeout(timer)
        this.stopWaiting = undefined
        settled()
      },
      unseen,
    )
    this.stopWaiting = () => {
      clearTimeout(timer)
      forget()
    }
    return true
  }

  stop(): void {
    this.stopWaiting?.()
    this.stopWaiting = undefined
  }
}

function unseenBy({ ownUnseen }: ExecRequest, link: string): Unseen | undefined {
  return ownUnseen === true ? { owner: link, sinceMs: performance.now() - UNSEEN_MS_MAX } : undefined
}
