import type { PgError } from '../../errors/pg-error.ts'
import type { ExecRequest } from '../../protocol/agent-link.ts'
import type { ExecOwner } from './exec-run.ts'

/** Whose a backend is. */
export interface BackendOwner extends ExecOwner {
  /** The session's pid, as its client knows it. */
  readonly knownAs: number
  /** The running exec. */
  readonly request: ExecRequest | undefined
  /** The exec is over, its last bytes are handed out next; `released`: and the backend is somebody else's. */
  execEnded(released: boolean): void
  /** The backend died. `running`: an exec was under way; `sent`: Postgres may have seen it. */
  backendLost(error: PgError, running: boolean, sent: boolean): void
}
