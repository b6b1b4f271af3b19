import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { MSG, STATUS } from '../../protocol/wire/frames.ts'
import { bind, execute, parse, SYNC } from '../../protocol/wire/frontend-messages.ts'
import { ClientOutput } from '../execute/answers/client-output.ts'
import { MemoryBudget } from '../memory/memory-budget.ts'
import type { Batch } from './batch.ts'
import type { ClientSession } from './client-session.ts'
import { MessageLoop } from './message-loop.ts'
import type { SlowPath } from './slow-path.ts'

/** A client that takes nothing until it is told to. */
class SlowClient extends Duplex {
  private taken: (() => void) | undefined
  takeAll(): void {
    this.taken?.()
  }
  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    this.taken = done
  }
  override _read(): void {}
}

/** A session in a failed transaction: nothing goes the direct way. */
function sessionOf(out: ClientOutput): ClientSession {
  const session = {
    out,
    closed: false,
    text: { isOther: false },
    strings: { areEscaped: false },
    tx: { kind: 'explicit', failed: true, doomed: () => [] },
    timers: { heardClient() {}, waitsForClient() {} },
    prepared: new Map(),
    statusByte: () => STATUS.failed,
    notifications: { release() {} },
    state: { kept: new Set() },
    memory: new MemoryBudget().session(),
    node: { limits: { frameBytesMax: 1 << 20 } },
    fatal(error: Error) {
      throw error
    },
  }
  return session as unknown as ClientSession
}

/** Notes what batches it is given. */
function slowPath(batches: string[][]): SlowPath {
  const slow = {
    batch(batch: Batch, synced: boolean) {
      batches.push(batch.ops.map(({ kind }) => kind))
      batch.clear()
      return Promise.resolve({ ok: true, synced })
    },
    functionCall() {
      batches.push(['call'])
      return Promise.resolve()
    },
    batches: { keepsMessage: false },
  }
  return slow as unknown as SlowPath
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

test('message loop: output becomes slow between two messages of a batch: all of it runs', async () => {
  const client = new SlowClient()
  const out = new ClientOutput(client as unknown as Socket)
  const batches: string[][] = []
  const loop = new MessageLoop(sessionOf(out), slowPath(batches), client as unknown as Socket)
  loop.start(parse('', 'SELECT $1::text'))
  out.push(Buffer.alloc(1 << 20))
  expect(out.isSlow).toBe(true)
  loop.input(Buffer.concat([bind({ params: ['x'] }), execute(), SYNC]))
  expect(batches).toEqual([])
  const drained = new Promise((resolve) => client.once('drain', resolve))
  client.takeAll()
  await drained
  expect(batches).toEqual([['parse', 'bind', 'execute']])
})

test('message loop: a function call: after what was gathered ahead of it', async () => {
  const client = new SlowClient()
  const out = new ClientOutput(client as unknown as Socket)
  const batches: string[][] = []
  const session = sessionOf(out)
  const loop = new MessageLoop(session, slowPath(batches), client as unknown as Socket)
  loop.start(Buffer.concat([parse('', 'SELECT 1'), Buffer.from([MSG.functionCall, 0, 0, 0, 4])]))
  expect(batches).toEqual([['parse']])
  await Promise.resolve()
  expect(batches).toEqual([['parse'], ['call']])
})
