/** Told to who asked, with this HTTP status. */
export class AdminError extends Error {
  override readonly name = 'AdminError'
  readonly status: number
  readonly hint: string | undefined
  /** When it is worth asking again, of a 429. */
  readonly afterSeconds: number | undefined

  constructor(status: number, message: string, hint?: string, afterSeconds?: number) {
    super(message)
    this.status = status
    this.hint = hint
    this.afterSeconds = afterSeconds
  }
}
