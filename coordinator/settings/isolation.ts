import { isOn } from '../../sql/plan/utility/refuse-setting.ts'
import type { SessionSettings } from './settings.ts'

export type Isolation = 'read uncommitted' | 'read committed' | 'repeatable read' | 'serializable'

export const DEFAULT_ISOLATION = 'default_transaction_isolation'

/** One snapshot for the whole transaction, not one for each statement. */
export function isTransactionLong(isolation: Isolation): boolean {
  return isolation === 'repeatable read' || isolation === 'serializable'
}

/** The modes of a transaction that says nothing about them. */
export interface DefaultModes {
  readonly isolation: Isolation
  readonly readOnly: boolean
  readonly deferrable: boolean
}

export const TRANSACTION_DEFAULTS = [
  DEFAULT_ISOLATION,
  'default_transaction_read_only',
  'default_transaction_deferrable',
] as const

/** What a session's transactions have for modes unless they say otherwise. */
export class TransactionDefaults {
  private readonly settings: SessionSettings
  /** Of the role, the database or the server. */
  private readonly fallback = new Map<string, string>()
  private known: { readonly settings: unknown; readonly modes: DefaultModes } | undefined

  constructor(settings: SessionSettings) {
    this.settings = settings
  }

  /** What the home shard showed when the session began. */
  note(name: (typeof TRANSACTION_DEFAULTS)[number], shown: string | undefined): void {
    if (shown !== undefined) this.fallback.set(name, shown)
    this.known = undefined
  }

  get current(): DefaultModes {
    const settings = this.settings.effective()
    if (this.known?.settings === settings) return this.known.modes
    const [isolation, readOnly, deferrable] = TRANSACTION_DEFAULTS.map(
      (name) => this.settings.get(name) ?? this.fallback.get(name),
    )
    const modes = {
      isolation: isolationNamed(isolation) ?? 'read committed',
      readOnly: isOn(readOnly ?? ''),
      deferrable: isOn(deferrable ?? ''),
    }
    this.known = { settings, modes }
    return modes
  }
}

export function areSameModes(a: DefaultModes, b: DefaultModes): boolean {
  return a.isolation === b.isolation && a.readOnly === b.readOnly && a.deferrable === b.deferrable
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
