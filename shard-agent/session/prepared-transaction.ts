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
  readonly settingsSql: string | undefined
}

export function preparedBy(backend: Backend, gid: string): PreparedTransaction {
  const { pid, isPinned, settingsSql } = backend
  return { gid, pid, settingsSql: isPinned ? undefined : settingsSql }
}
