import {
  CheckViolation,
  ConnectionLost,
  ConstraintViolation,
  DatabaseError,
  type DatabaseErrorFields,
  DeadlockDetected,
  ExclusionViolation,
  ForeignKeyViolation,
  InsufficientPrivilege,
  LockNotAvailable,
  LoginRefused,
  NotNullViolation,
  OutcomeUnknown,
  QueryCanceled,
  Raised,
  Refused,
  SerializationFailure,
  UniqueViolation,
} from './errors.ts'

const byState: Readonly<Record<string, typeof DatabaseError>> = {
  '0A000': Refused,
  '23502': NotNullViolation,
  '23503': ForeignKeyViolation,
  '23505': UniqueViolation,
  '23514': CheckViolation,
  '23P01': ExclusionViolation,
  '40001': SerializationFailure,
  '40P01': DeadlockDetected,
  '42501': InsufficientPrivilege,
  '55P03': LockNotAvailable,
  '57014': QueryCanceled,
}

const byClass: Readonly<Record<string, typeof DatabaseError>> = {
  '23': ConstraintViolation,
  '28': LoginRefused,
}

/** An ErrorResponse as `pg` gives it. */
interface PgError extends Error {
  readonly code: string
  readonly severity: string
  readonly detail?: string
  readonly hint?: string
  readonly schema?: string
  readonly table?: string
  readonly column?: string
  readonly dataType?: string
  readonly constraint?: string
  readonly where?: string
  readonly position?: string
}

const isPgError = (error: unknown): error is PgError =>
  error instanceof Error && 'severity' in error && 'code' in error && typeof error.code === 'string'

/** What `pg` threw, as an error of ours: the server's word by its SQLSTATE, all else is a connection that is gone. */
export function fromPg(error: unknown, statement?: string): unknown {
  if (error instanceof Raised) return error.cause
  if (!isPgError(error)) {
    const message = error instanceof Error ? error.message : String(error)
    return new ConnectionLost(`the connection was lost: ${message}`, { cause: error, sent: true })
  }
  const { code, message } = error
  if (code === '08007') {
    const transactionId = /^Transaction (\S+)\.$/.exec(error.detail ?? '')?.[1]
    return new OutcomeUnknown(message, { cause: error, sqlstate: code, transactionId })
  }
  const Class = byState[code] ?? byClass[code.slice(0, 2)] ?? DatabaseError
  return new Class(message, fieldsOf(error, statement), error)
}

function fieldsOf(error: PgError, statement: string | undefined): DatabaseErrorFields {
  const { code, severity, detail, hint, schema, table, column, dataType, constraint, where } = error
  const position = error.position === undefined ? undefined : Number(error.position)
  const at = { detail, hint, schema, table, column, dataType, constraint, where, position, statement }
  return { sqlstate: code, severity, ...at }
}
