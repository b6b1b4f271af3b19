import { PgError } from '../errors/pg-error.ts'
import { SetupError } from '../errors/setup-error.ts'

/** What a shard's refusal at the start means to whoever wrote its URL; other errors as they are. */
export function explainShardError(error: unknown, shard: number, url: string, setting: string): unknown {
  if (!(error instanceof PgError)) return error
  const { host, username } = new URL(url)
  // The agent has said which shard it is about.
  const named = error.message.startsWith(`shard ${shard}`)
  const what = named ? error.message : `shard ${shard} (${host}): ${error.message}`
  const explained = (message: string, hint: string): SetupError =>
    new SetupError(message, hint, { cause: error })
  switch (error.code) {
    case '28P01':
    case '28000':
      return explained(
        what,
        `Write the login as ${setting} postgres://user:password@host:5432/database, and check the server's pg_hba.conf.`,
      )
    case '3D000':
      return explained(what, `Create the database there, or correct the ${setting} URL.`)
    case '08006':
    case '08001':
    case '57P03':
      return explained(what, `Start that Postgres, or correct the ${setting} URL.`)
    case '42501':
      return explained(
        `role "${username}" may not set Weft up there: ${what}`,
        `Use a superuser, or a role with CREATE on the database and CREATEROLE, in the ${setting} URL.`,
      )
    default:
      return explained(what, error.fields.hint ?? 'The log of that Postgres may say more.')
  }
}
