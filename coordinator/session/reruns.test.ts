import type { Socket } from 'node:net'
import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { weftError } from '../../errors/catalog.ts'
import {
  BIND_COMPLETE,
  commandComplete,
  dataRow,
  rowDescription,
} from '../../protocol/wire/backend-messages.ts'
import { MSG } from '../../protocol/wire/frames.ts'
import { ClientOutput } from '../execute/answers/client-output.ts'
import { DelayedRows } from '../execute/answers/delayed-rows.ts'
import type { Execution } from '../execute/context.ts'
import { ExecFailed } from '../execute/shards/replies.ts'
import { MemoryBudget } from '../memory/memory-budget.ts'
import type { ClientSession } from './client-session.ts'
import { Reruns } from './reruns.ts'
import type { SlowPath } from './slow-path.ts'

const stale = () => new ExecFailed(weftError('stale_map', { have: 0, need: 0 }), false, 0)

/** Of statements that have nothing but a map. */
function sessionOf(out: ClientOutput): ClientSession {
  const session = {
    out,
    closed: false,
    writes: 0,
    planVersion: 1,
    tx: { kind: 'none', givenSnapshot: false },
    node: { catalogs: { current: { version: 1 }, reload: () => Promise.resolve() } },
  }
  return session as unknown as ClientSession
}

function typesOf(bytes: Buffer): number[] {
  const types: number[] = []
  for (let at = 0; at < bytes.length; at += 1 + bytes.readInt32BE(at + 1)) types.push(bytes[at]!)
  return types
}

test.each([false, true])(
  'a statement that is run again describes its rows once (first rows wait: %s)',
  async (waits) => {
    const written: Buffer[] = []
    const client = new Writable({
      write(chunk: Buffer, _encoding, done) {
        written.push(chunk)
        done()
      },
    })
    const out = new ClientOutput(client as unknown as Socket)
    const memory = new MemoryBudget().session()
    let tries = 0
    const work = async (): Promise<void> => {
      out.owe(rowDescription([]))
      if (tries++ === 0) {
        if (waits) out.push(dataRow(['1']))
        throw stale()
      }
      out.push(dataRow(['2']))
      out.hold(commandComplete('UPDATE 1'))
    }
    const execute = () => (waits ? out.untilDone(new DelayedRows(memory.account('rows')), work) : work())
    const slow = { scope: () => Promise.resolve({}), execute } as unknown as SlowPath
    out.owe(BIND_COMPLETE)
    await new Reruns(sessionOf(out), slow).untilDone(() => ({}) as Execution, true)
    out.releaseHeld()
    out.flush()
    expect(tries).toBe(2)
    const said = Buffer.concat(written)
    expect(typesOf(said)).toEqual([MSG.bindComplete, MSG.rowDescription, MSG.dataRow, MSG.commandComplete])
    expect(said.includes(dataRow(['2']))).toBe(true)
  },
)
