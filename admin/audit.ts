import type { Actor } from './auth.ts'
import type { ClusterAccess } from './cluster-access.ts'

export interface AuditLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface Change {
  readonly actor: Actor
  readonly address: string
  /** `session.kill`. */
  readonly action: string
  /** Of what. */
  readonly target: string
}

/** A change is told to the log and to table weft.audit: who, what, from where, and what came of it. */
export async function audited<T>(
  cluster: ClusterAccess,
  log: AuditLog,
  { actor, address, action, target }: Change,
  work: () => Promise<T>,
): Promise<T> {
  const write = async (result: string): Promise<void> => {
    const line = { audit: action, actor: actor.name, role: actor.role, address, target, result }
    log.info(line, 'audit')
    const values = [actor.name, address, action, target, result].map(literal).join(', ')
    await cluster
      .onShard(0, `INSERT INTO weft.audit (actor, address, action, target, result) VALUES (${values})`)
      // What was done stands; the log has the line.
      .catch((err: unknown) => log.warn({ ...line, err }, 'audit: the table cannot be written'))
  }
  try {
    const result = await work()
    await write('ok')
    return result
  } catch (error) {
    await write(error instanceof Error ? error.message : String(error))
    throw error
  }
}

const LINE_MAX = 2_000

/** A literal that no setting of the server reads otherwise. */
export function literal(text: string): string {
  const doubled = text.slice(0, LINE_MAX).replaceAll('\0', '').replaceAll("'", "''").replaceAll('\\', '\\\\')
  return `E'${doubled}'`
}
