import type { PgError } from '../../errors/pg-error.ts'
import type { CustomUse } from '../code/custom-settings.ts'
import type { Effects } from '../code/effects.ts'

/** What a statement may do to the session beyond its result. */
export interface SessionEffects {
  /** The session must keep its home backend afterwards. */
  readonly pins: boolean
  /** It may have removed the reason of a pin: look. */
  readonly mayUnpin: boolean
  /** It may change settings behind Weft's back (set_config, user functions, DO, CALL): reset the backend after. */
  readonly taintsBackend: boolean
  /** What it may leave on the backends it runs on (sql/code): they are looked at afterwards. */
  readonly leaves: Effects
  /** What it may do with sequences: a mask of `SEQUENCE` in with-sequences.ts. */
  readonly sequences: number
  /** It may run code whose declarations hang on the search path (sql/code). Absent: none. */
  readonly compiles?: boolean
  /** Its row locks hold on one copy of a reference table, where the others count, too: why it fails in a transaction. */
  readonly locksHome?: PgError
  /** What it does with custom settings. Absent: nothing. */
  readonly custom?: StatementCustomUse
}

/** Of the code that it runs; with `inText` its own text, with its literals, says more. */
export interface StatementCustomUse extends CustomUse {
  readonly inText: boolean
}
