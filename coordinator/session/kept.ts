/** Maps of what a session keeps that draw on its memory. */
import { CLAIMED_FROM_BYTES } from '../../protocol/wire/frames.ts'
import { parseBind, rewriteBindStatement } from '../../protocol/wire/frontend-messages.ts'
import type { BoundNames } from '../execute/context.ts'
import { LONG_TEXT_BYTES } from '../execute/plans/parse-turns.ts'
import type { MemoryAccount } from '../memory/memory-budget.ts'
import type { Portal, Prepared } from './prepared.ts'

/** Without its text: names, types, plan, description. */
const STATEMENT_BYTES = 1024
/** A text, its tokens and its plan, per byte of the text. */
const STATEMENT_FACTOR = 8
const PORTAL_BYTES = 512
const PARAMETER_BYTES = 32

/** A map whose entries cost. */
abstract class KeptMap<V> extends Map<string, V> {
  private readonly account: MemoryAccount

  constructor(account: MemoryAccount) {
    super()
    this.account = account
  }

  protected abstract costOf(name: string, value: V): number

  /** Throws 53200, and keeps what was there. */
  override set(name: string, value: V): this {
    this.account.add(this.costOf(name, value) - this.costOfOld(name))
    return super.set(name, value)
  }

  override delete(name: string): boolean {
    this.account.sub(this.costOfOld(name))
    return super.delete(name)
  }

  override clear(): void {
    this.account.set(0)
    super.clear()
  }

  private costOfOld(name: string): number {
    const old = this.get(name)
    return old === undefined ? 0 : this.costOf(name, old)
  }
}

export class PreparedStatements extends KeptMap<Prepared> {
  protected costOf(name: string, { bytes }: Prepared): number {
    // There is one unnamed statement at a time; a short one is nothing beside the session itself.
    if (name === '' && bytes <= LONG_TEXT_BYTES) return 0
    return STATEMENT_BYTES + STATEMENT_FACTOR * bytes
  }
}

export class Portals extends KeptMap<Portal> implements BoundNames {
  /** Forgets those bound since so many portals were made. */
  backTo(made: number): void {
    for (const [name, portal] of this) if (portal.made >= made) this.delete(name)
  }

  spent(name: string): Prepared | undefined {
    const portal = this.get(name)
    return portal?.ran === 'well' && portal.open?.kept === undefined ? portal.statement : undefined
  }

  /** A named one is kept for long: not with the whole of what came from the client's socket. */
  keep(portal: Portal): void {
    this.set(portal.name, portal.name === '' ? portal : { ...portal, bind: ownBytes(portal.bind) })
  }

  /** The unnamed portal needs the last message of the client. */
  get keepsMessage(): boolean {
    const unnamed = this.get('')
    return unnamed !== undefined && unnamed.bind.buffer.length >= CLAIMED_FROM_BYTES
  }

  override delete(name: string): boolean {
    this.get(name)?.open?.kept?.clear()
    return super.delete(name)
  }

  override clear(): void {
    for (const { open } of this.values()) open?.kept?.clear()
    super.clear()
  }

  protected costOf(name: string, portal: Portal): number {
    const { bind: message } = portal
    // The unnamed one has its message as it came, and a large one of that kind is paid for already.
    if (name === '') return 0
    return PORTAL_BYTES + message.buffer.length + PARAMETER_BYTES * message.paramLengths.length
  }
}

function ownBytes(message: Portal['bind']): Portal['bind'] {
  const own = rewriteBindStatement(message, message.statement)
  return parseBind(own, 5, own.length)
}
