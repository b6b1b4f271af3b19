import type { Settings } from '../../protocol/agent-link.ts'
import type { Backend } from '../pool/backend.ts'

/** A transaction that a session has prepared, until the decision on it has been carried out. */
export interface PreparedTransaction {
  readonly gid: string
  /** Of the backend that prepared it. */
  readonly pid: number
  /**
   * The backend serves others now: settings under which the decision is to be carried out. Whether a commit waits for
   * standbys is one of them. Undefined: the session keeps the backend, pinned or with settings that are not known.
   */
  readonly settings: Settings | undefined
}

export function preparedBy(backend: Backend, gid: string): PreparedTransaction {
  const { pid, isPinned, settingsSql, names } = backend
  const isKept = isPinned || settingsSql === undefined
  return { gid, pid, settings: isKept ? undefined : { id: 0, sql: settingsSql, custom: names.latest } }
}
