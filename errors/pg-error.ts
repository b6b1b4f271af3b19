/** The fields of a Postgres ErrorResponse or NoticeResponse, by name (protocol 3.0, "Error and Notice Message Fields"). */
export interface PgErrorFields {
  readonly severity?: string
  /** SQLSTATE, five characters. */
  readonly code: string
  readonly message: string
  readonly detail?: string | undefined
  readonly hint?: string | undefined
  /** 1-based character offset into the statement. */
  readonly position?: number | undefined
  readonly where?: string | undefined
  readonly schema?: string | undefined
  readonly table?: string | undefined
  readonly column?: string | undefined
  readonly dataType?: string | undefined
  readonly constraint?: string | undefined
  /** The function of Postgres' source that says it: some drivers go by it. */
  readonly routine?: string | undefined
}

/** An error a client may be shown. Everything Weft raises towards a client is one of these. */
export class PgError extends Error {
  readonly fields: PgErrorFields
  constructor(fields: PgErrorFields, options?: { cause?: unknown }) {
    super(fields.message, options)
    this.name = 'PgError'
    this.fields = fields
  }
  get code(): string {
    return this.fields.code
  }
  get severity(): string {
    return this.fields.severity ?? 'ERROR'
  }
}

/** A programmer error: a state that the code says cannot be. Never shown to a client as is. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message)
}

export function assertNever(value: never): never {
  throw new InvariantError(`unexpected value ${JSON.stringify(value)}`)
}
