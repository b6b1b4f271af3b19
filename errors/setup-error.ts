/**
 * Weft cannot start (or a command cannot run) for a reason that the operator can put right: one line that says what is
 * wrong and one that says what to do. The command line prints both without a stack trace and exits with 1.
 */
export class SetupError extends Error {
  override readonly name = 'SetupError'
  /** What to do about it. */
  readonly hint: string | undefined
  constructor(message: string, hint?: string, options?: { cause?: unknown }) {
    super(message, options)
    this.hint = hint
  }
}
