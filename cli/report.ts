import { PgError } from '../errors/pg-error.ts'
import { SetupError } from '../errors/setup-error.ts'

/** One line that says what is wrong and what to do. Only a bug gets a stack trace. */
export function reportError(error: unknown): void {
  console.error(`weft: ${describe(error)}`)
}

function describe(error: unknown): string {
  if (error instanceof SetupError) return sentence(error.message, error.hint)
  if (error instanceof PgError)
    return sentence(`${error.message} (SQLSTATE ${error.code})`, error.fields.hint)
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

function sentence(message: string, hint: string | undefined): string {
  return hint === undefined || hint === '' ? message : `${message.replace(/[.:]$/, '')}. ${hint}`
}
