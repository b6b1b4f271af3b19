/** What a session says of its transaction on a shard (`within` of ExecRequest) is held against its backend. */
import { weftError } from '../../errors/catalog.ts'
import type { PgError } from '../../errors/pg-error.ts'
import type { ExecRequest } from '../../protocol/agent-link.ts'
import { STATUS } from '../../protocol/wire/frames.ts'
import type { Backend } from '../pool/backend.ts'
import type { SessionHost } from './session-host.ts'

const isOpenOn = (backend: Backend | undefined): boolean =>
  backend !== undefined && backend.status !== STATUS.idle

/** A statement by itself would run in a transaction that its session has forgotten, or the other way round. */
export function isForgotten({ begin, within }: ExecRequest, backend: Backend | undefined): boolean {
  // A transaction begins where none is.
  if (begin !== undefined && begin.length > 0) return isOpenOn(backend)
  return within !== undefined && isOpenOn(backend) !== within
}

/** Rolls back what is open on the backend: nobody would commit it. Resolves to the statement's answer; never rejects. */
export async function endForgotten(backend: Backend | undefined, host: SessionHost): Promise<PgError> {
  const became = isOpenOn(backend) ? 'was left open' : 'is gone'
  if (backend !== undefined) await host.twoPhase.rollback(backend).catch(() => {})
  return weftError('internal', { what: `a transaction of the session ${became} on shard ${host.shard}` })
}
