import type { Session } from '../pool/session.ts'
import type { Limits } from '../pool/watch.ts'
import type { Compiled } from '../sql/fragment.ts'
import { CopyOut } from '../stream/copy-out.ts'
import { ClosePortal, Fetch, type Portal } from '../stream/portal.ts'
import type { TypeParsers } from '../wire/rows.ts'
import { command } from './command.ts'
import type { Lease } from './queries.ts'

/** For what is left of a stream to be cleared away. */
const END_MS = 5_000

let portals = 0

/** The rows of a portal. It lives in a transaction, so that others can use the connection between its batches. */
export async function* streamRows<Row extends object>(
  lease: () => Promise<Lease>,
  statement: Compiled,
  types: TypeParsers,
  batchRows: number,
  limits: Limits,
): AsyncGenerator<Row, void> {
  portals += 1
  const portal: Portal = { name: `weft_${portals}`, statement, types, reader: undefined }
  const { session, isOwn, giveBack } = await lease()
  try {
    if (isOwn) await session.run(command('BEGIN READ ONLY'), limits)
    for (let isFirst = true; ; isFirst = false) {
      const { rows, isLast } = await session.run(new Fetch<Row>(portal, batchRows, isFirst), limits)
      yield* rows
      if (isLast) break
    }
  } finally {
    // A connection on which that does not work is dropped.
    if (session.isOpen) await endStream(session, isOwn, portal.name).catch(() => session.destroy())
    await giveBack()
  }
}

/** Closing a portal that is not there is no error. */
async function endStream(session: Session, isOwn: boolean, portal: string): Promise<void> {
  if (isOwn) await session.run(command('COMMIT'), { timeoutMs: END_MS })
  else await session.run(new ClosePortal(portal), { timeoutMs: END_MS })
}

/** The bytes of a COPY TO STDOUT. */
export async function* copyOut(
  lease: () => Promise<Lease>,
  text: string,
  limits: Limits,
): AsyncGenerator<Buffer, void> {
  const { session, isOwn, giveBack } = await lease()
  try {
    const copy = new CopyOut(text)
    const done = session.run(copy, limits)
    // Awaited below; it may fail while the reader is busy.
    done.catch(() => undefined)
    let isRead = false
    try {
      yield* copy.chunks()
      isRead = true
    } finally {
      if (!isRead) {
        copy.discard()
        if (isOwn) await session.cancel()
        await done.catch(() => undefined)
      }
    }
    await done
  } finally {
    await giveBack()
  }
}
