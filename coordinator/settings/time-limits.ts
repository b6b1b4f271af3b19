import type { SessionSettings } from './settings.ts'

/** On the shards it is off while a transaction is open: a shard cannot tell whether the client works with another. */
export const IDLE_TIMEOUT = 'idle_in_transaction_session_timeout'
export const KEEP_WHILE_IDLE = `SET LOCAL ${IDLE_TIMEOUT} = 0`

/** Shards never keep it: a pooled backend waits for work, and its client for nothing. */
export const IDLE_SESSION_TIMEOUT = 'idle_session_timeout'
const KEEP_SESSION = `SET ${IDLE_SESSION_TIMEOUT} = 0`

/** What is to follow a statement that may have set limits which shards must not keep. */
export function keepBackends(names: readonly string[], isInTransaction: boolean): string {
  const keeps = isInTransaction && names.includes(IDLE_TIMEOUT) ? [KEEP_WHILE_IDLE] : []
  if (names.includes(IDLE_SESSION_TIMEOUT)) keeps.push(KEEP_SESSION)
  return keeps.map((sql) => `;${sql}`).join('')
}

/** Settings whose time is measured on the whole session, not only on each shard. */
export const TIME_LIMITS = [
  IDLE_TIMEOUT,
  'transaction_timeout',
  'statement_timeout',
  IDLE_SESSION_TIMEOUT,
] as const
type TimeLimit = (typeof TIME_LIMITS)[number]

const MS_PER: Readonly<Record<string, number>> = {
  us: 0.001,
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** Milliseconds of a setting whose unit is milliseconds, in any spelling that Postgres takes; 0: no limit. */
export function durationMs(text: string): number {
  const [, number, unit = 'ms'] = /^\s*([+-]?[\d.]+(?:e[+-]?\d+)?)\s*([a-z]*)\s*$/i.exec(text) ?? []
  const ms = Number(number) * (MS_PER[unit === '' ? 'ms' : unit] ?? Number.NaN)
  return Number.isFinite(ms) && ms > 0 ? Math.round(ms) : 0
}

/** As Postgres prints it: in the largest unit that leaves nothing over. */
function shownMs(ms: number): string {
  if (ms === 0) return '0'
  const [unit, per] = UNITS.find(([, perUnit]) => ms % perUnit === 0)!
  return `${ms / per}${unit}`
}

const UNITS = (['d', 'h', 'min', 's', 'ms'] as const).map((unit) => [unit, MS_PER[unit]!] as const)

/** The time limits of one session: what it set itself, else what its role, its database or the server's files say. */
export class TimeLimits {
  private readonly settings: SessionSettings
  private readonly defaults = new Map<TimeLimit, string>()

  constructor(settings: SessionSettings) {
    this.settings = settings
  }

  /** What the home shard showed when the session began. */
  noteDefault(name: TimeLimit, shown: string | undefined): void {
    if (shown !== undefined) this.defaults.set(name, shown)
  }

  ms(name: TimeLimit): number {
    return durationMs(this.settings.get(name) ?? this.defaults.get(name) ?? '0')
  }

  /** As SHOW prints it. */
  shown(name: TimeLimit): string {
    if (name === IDLE_SESSION_TIMEOUT) return shownMs(this.ms(name))
    const value = this.settings.get(name)
    const isOwn = value !== undefined && value !== this.settings.atStart(name)
    return isOwn ? value : (this.defaults.get(name) ?? '0')
  }
}
