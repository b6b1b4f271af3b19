/** What an error of this library is. Catch a class, or look at `sqlstate`. */
export class ClientError extends Error {
  /** Five characters (https://www.postgresql.org/docs/current/errcodes-appendix.html), when a server gave one. */
  readonly sqlstate: string | undefined

  constructor(message: string, options: { readonly cause?: unknown; readonly sqlstate?: string } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.name = new.target.name
    this.sqlstate = options.sqlstate
  }
}

/** Fields of Postgres' ErrorResponse. */
export interface DatabaseErrorFields {
  readonly sqlstate: string
  readonly severity?: string | undefined
  readonly detail?: string | undefined
  readonly hint?: string | undefined
  readonly schema?: string | undefined
  readonly table?: string | undefined
  readonly column?: string | undefined
  readonly dataType?: string | undefined
  readonly constraint?: string | undefined
  readonly where?: string | undefined
  /** 1-based, in characters of `statement`. */
  readonly position?: number | undefined
  /** The text that was sent, without its parameters. */
  readonly statement?: string | undefined
}

/**
 * The server answered with an error: nothing of the statement took effect.
 *
 * @example if (error instanceof DatabaseError && error.sqlstate === '22012') …
 */
export class DatabaseError extends ClientError {
  declare readonly sqlstate: string
  readonly fields: DatabaseErrorFields

  constructor(message: string, fields: DatabaseErrorFields, cause?: unknown) {
    super(message, { sqlstate: fields.sqlstate, cause })
    this.fields = fields
  }

  get detail(): string | undefined {
    return this.fields.detail
  }

  get hint(): string | undefined {
    return this.fields.hint
  }
}

/** Class 23: a constraint does not hold. `constraint`, `table` and `column` say which, where Postgres does. */
export class ConstraintViolation extends DatabaseError {
  get constraint(): string | undefined {
    return this.fields.constraint
  }

  get table(): string | undefined {
    return this.fields.table
  }

  get column(): string | undefined {
    return this.fields.column
  }
}

/** 23505: a row with that key is there already. */
export class UniqueViolation extends ConstraintViolation {}
/** 23503: the row that is referred to is missing, or one that refers is left. */
export class ForeignKeyViolation extends ConstraintViolation {}
/** 23502. */
export class NotNullViolation extends ConstraintViolation {}
/** 23514. */
export class CheckViolation extends ConstraintViolation {}
/** 23P01. */
export class ExclusionViolation extends ConstraintViolation {}

/** 40001: others changed what this transaction relies on. Nothing took effect; `transaction` has tried again already. */
export class SerializationFailure extends DatabaseError {}
/** 40P01: chosen to end a deadlock. Nothing took effect; `transaction` has tried again already. */
export class DeadlockDetected extends DatabaseError {}
/** 55P03: a lock was not to be had at once (NOWAIT), or within `lock_timeout`. */
export class LockNotAvailable extends DatabaseError {}
/** 57014: the server ended the statement, by its `statement_timeout` or because another session asked it to. */
export class QueryCanceled extends DatabaseError {}
/** 42501: the role may not do that. */
export class InsufficientPrivilege extends DatabaseError {}
/** Class 28: the login was refused. */
export class LoginRefused extends DatabaseError {}

/** 0A000: not done, by Postgres or by Weft, which says why and what to do instead. */
export class Refused extends DatabaseError {
  /** Id in the list of docs/sql.md; undefined when it is Postgres that refuses. */
  get refusalId(): string | undefined {
    return /\bRefusal (\w+)/.exec(this.fields.detail ?? '')?.[1]
  }
}

/**
 * It may have taken effect, or not: SQLSTATE 08007, or the connection was lost during a COMMIT or a statement by itself.
 * Never tried again by this library. Ask `outcome()`, or look whether the change is there, before you do.
 */
export class OutcomeUnknown extends ClientError {
  /** For `db.outcome`, also of another process. Known of a `traceable` transaction, and where the server told it. */
  readonly transactionId: string | undefined
  /** @internal */
  ask: ((id: string, options?: OutcomeOptions) => Promise<TransactionOutcome>) | undefined

  constructor(
    message: string,
    options: {
      readonly cause?: unknown
      readonly sqlstate?: string
      readonly transactionId?: string | undefined
    } = {},
  ) {
    super(message, options)
    this.transactionId = options.transactionId
  }

  /**
   * What became of it: as `db.outcome(error.transactionId)`; `unknown` when no id is known.
   *
   * @throws as `Db.outcome`.
   * @example if ((await error.outcome()) === 'aborted') await again()
   */
  async outcome(options?: OutcomeOptions): Promise<TransactionOutcome> {
    if (this.transactionId === undefined || this.ask === undefined) return 'unknown'
    return this.ask(this.transactionId, options)
  }
}

/**
 * What became of a transaction. `in doubt`: not settled in the time that was given, ask again. `unknown`: nobody knows any
 * more, it was too long ago.
 */
export type TransactionOutcome = 'committed' | 'aborted' | 'in doubt' | 'unknown'

/** For how long `outcome` asks, and what ends it. */
export interface OutcomeOptions {
  /** How long is asked again while it is in doubt, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** The connection ended while nothing could have taken effect: before COMMIT, or before anything was sent. */
export class ConnectionLost extends ClientError {
  /** Whether a statement had been sent that was not answered. */
  readonly sent: boolean

  constructor(message: string, options: { readonly cause?: unknown; readonly sent: boolean }) {
    super(message, options)
    this.sent = options.sent
  }
}

/** No coordinator could be reached; `errors` has each one's reason, by its address. */
export class Unreachable extends ClientError {
  readonly errors: ReadonlyMap<string, unknown>

  constructor(errors: ReadonlyMap<string, unknown>) {
    const reasons = [...errors].map(([name, error]) => `${name}: ${(error as Error).message ?? error}`)
    super(`no server can be reached (${reasons.join('; ')})`, { cause: [...errors.values()][0] })
    this.errors = errors
  }
}

/** The caller's `signal` ended it, and nothing of it took effect. `cause` is the signal's reason. */
export class Canceled extends ClientError {}

/** It took longer than its `timeoutMs` (or `acquireTimeoutMs`), was canceled, and nothing of it took effect. */
export class TimedOut extends ClientError {}

/** `one` found no row. */
export class NoRow extends ClientError {}
/** `one` or `maybe` found more than one row. */
export class SeveralRows extends ClientError {}

/** A transaction was rolled back although its function returned: a statement in it had failed (`cause`). */
export class RolledBack extends ClientError {}

/** A transaction, snapshot or Db is used after its end, or while a COPY has its connection. */
export class Closed extends ClientError {}

/** An error that did not come from the server: of a source of rows, of a parser of values. Told as it is. */
export class Raised extends Error {
  constructor(cause: unknown) {
    super('raised by the caller', { cause })
  }
}
