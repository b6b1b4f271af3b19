import type { SessionSettings } from './settings.ts'

export type Isolation = 'read uncommitted' | 'read committed' | 'repeatable read' | 'serializable'

export const DEFAULT_ISOLATION = 'default_transaction_isolation'

/** One snapshot for the whole transaction, not one for each statement. */
export function isTransactionLong(isolation: Isolation): boolean {
  return isolation === 'repeatable read' || isolation === 'serializable'
}

/** What a session's transactions have for isolation unless they say otherwise. */
export class DefaultIsolation {
  private readonly settings: SessionSettings
  /** Of the role, the database or the server. */
  private fallback: Isolation = 'read committed'
  private known: { readonly settings: unknown; readonly isolation: Isolation } | undefined

  constructor(settings: SessionSettings) {
    this.settings = settings
  }

  /** What the home shard showed when the session began. */
  note(shown: string | undefined): void {
    this.fallback = isolationNamed(shown) ?? this.fallback
    this.known = undefined
  }

  get current(): Isolation {
    const settings = this.settings.effective()
    if (this.known?.settings === settings) return this.known.isolation
    const isolation = isolationNamed(this.settings.get(DEFAULT_ISOLATION)) ?? this.fallback
    this.known = { settings, isolation }
    return isolation
  }
}

function isolationNamed(name: string | undefined): Isolation | undefined {
  const level = name?.trim().toLowerCase()
  switch (level) {
    case 'read uncommitted':
    case 'read committed':
    case 'repeatable read':
    case 'serializable':
      return level
    default:
      return undefined
  }
}
