import { errorResponse, parseErrorFields } from '../../protocol/wire/backend-messages.ts'

const HEADER_BYTES = 5
export const DEADLOCK_DETECTED = '40P01'
const PROCESS = /\b([Pp]rocess )(\d+)/g

/** The pid of the session that has a backend now. */
export type SessionOf = (backendPid: number) => number | undefined

/** Postgres' report of a deadlock, in pids of sessions: all that are part of one have their backends still. */
export function deadlockReport(chunk: Buffer, start: number, end: number, sessionOf: SessionOf): Buffer {
  const fields = parseErrorFields(chunk, start + HEADER_BYTES, end)
  const detail = fields.detail?.replaceAll(PROCESS, (said, process: string, pid: string) => {
    const session = sessionOf(Number(pid))
    return session === undefined ? said : process + session
  })
  return errorResponse({ ...fields, detail })
}
