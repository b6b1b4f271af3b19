/** Told to who asked, with this HTTP status. */
export class AdminError extends Error {
  override readonly name = 'AdminError'
  readonly status: number
  readonly hint: string | undefined

  constructor(status: number, message: string, hint?: string) {
    super(message)
    this.status = status
    this.hint = hint
  }
}
