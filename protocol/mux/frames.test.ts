import { expect, test } from 'vitest'
import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import { ANY_MAP_VERSION, type ExecRequest } from '../agent-link.ts'
import { parseErrorFields } from '../wire/backend-messages.ts'
import * as commit from './commit-frames.ts'
import { ReceivedDefinitions, SentDefinitions } from './definitions.ts'
import { KIND } from './frame-kinds.ts'
import { FrameReader } from './frame-reader.ts'
import { FrameWriter } from './frame-writer.ts'
import * as link from './link-frames.ts'
import * as session from './session-frames.ts'

const STAMP = 0x0192_8f3a_11bc_0007n
const MAX = 1 << 20

interface Frame {
  kind: number
  session: number
  body: Buffer
}

/** Reads `bytes` given in chunks; parts of streamed frames are joined again. */
function read(chunks: readonly Buffer[], max = MAX): { frames: Frame[]; stamps: bigint[] } {
  const frames: Frame[] = []
  const stamps: bigint[] = []
  const reader = new FrameReader(
    {
      stamp: (stamp) => stamps.push(stamp),
      frame: (kind, id, chunk, start, end) =>
        frames.push({ kind, session: id, body: Buffer.from(chunk.subarray(start, end)) }),
    },
    max,
  )
  for (const chunk of chunks) reader.push(chunk)
  return { frames, stamps }
}

function written(write: (out: FrameWriter) => void): Buffer {
  const out = new FrameWriter()
  write(out)
  return Buffer.concat(out.take(STAMP))
}

/** An encoder that shares no code with the one under test. */
function naive(kind: number, id: number, body: Buffer, stamp = STAMP): Buffer {
  const head = Buffer.alloc(17)
  head.writeUInt32BE(13 + body.length, 0)
  head.writeUInt32BE(id, 4)
  head.writeUInt8(kind, 8)
  head.writeBigUInt64BE(stamp, 9)
  return Buffer.concat([head, body])
}

function u32(n: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(n)
  return bytes
}
function u64(n: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(n)
  return bytes
}
const text = (s: string): Buffer => Buffer.concat([u32(Buffer.byteLength(s)), Buffer.from(s)])
const bytes = (...list: number[]): Buffer => Buffer.from(list)
const cat = (...list: Buffer[]): Buffer => Buffer.concat(list)
const bodyOf = (body: Buffer): ReturnType<typeof link.bodyOf> => link.bodyOf(body, 0, body.length)

const settings = { id: 1, sql: "SET TimeZone = 'Europe/Zürich'", meaning: 'zürich' }
const statement = { name: 'w_1f', parse: Buffer.from('P\0\0\0\x0fsome parse') }
const error = new PgError({ code: '23505', message: 'doppelt “ß”', constraint: 'k' })
const request: ExecRequest = {
  mapVersion: 70_000,
  settings,
  begin: ['BEGIN', "SET LOCAL x = 'ü'"],
  needs: [statement],
  payload: Buffer.from('the payload'),
  access: 'write',
  pin: true,
  taints: false,
  swallow: 5,
}
const keys = { clientKey: Buffer.alloc(32, 7), serverKey: Buffer.alloc(32, 9) }
const definitions = new ReceivedDefinitions()
definitions.defineSettings({ ...settings, id: 4 })
definitions.defineStatement(9, statement)

interface Sample {
  readonly kind: number
  readonly body: Buffer
  write(out: FrameWriter): void
  /** What reading the body gives back. */
  readonly read?: (body: Buffer) => unknown
  readonly value?: unknown
}

const hello = { cluster: 'weft', shard: 3, coordinatorId: 'c-1' }
const NAMES = { own: ['a.b', 'a.c'], asks: ['*'], sets: [] }

const samples: Readonly<Record<string, Sample>> = {
  hello: {
    kind: KIND.hello,
    body: cat(Buffer.from('WEFT'), bytes(0, 11), u32(3), text('weft'), text('c-1')),
    write: (out) => link.writeHello(out, hello),
    read: (body) => link.readHello(bodyOf(body)),
    value: { ...hello, version: 11 },
  },
  goodbye: {
    kind: KIND.goodbye,
    body: Buffer.from(JSON.stringify(error.fields)),
    write: (out) => link.writeGoodbye(out, error),
    read: (body) => link.readGoodbye(bodyOf(body)).fields,
    value: error.fields,
  },
  ping: { kind: KIND.ping, body: bytes(), write: (out) => link.writePing(out) },
  control: {
    kind: KIND.control,
    body: cat(u32(6), Buffer.from('{"kind":"unfence","token":"t","committed":true}')),
    write: (out) => link.writeControl(out, 6, { kind: 'unfence', token: 't', committed: true }),
    read: (body) => link.readControl(bodyOf(body)),
    value: { requestId: 6, request: { kind: 'unfence', token: 't', committed: true } },
  },
  answer: {
    kind: KIND.answer,
    body: cat(u32(6), Buffer.from('{"kind":"ok"}')),
    write: (out) => link.writeAnswer(out, 6, { kind: 'ok' }),
    read: (body) => link.readAnswer(bodyOf(body)),
    value: { requestId: 6, reply: { kind: 'ok' } },
  },
  event: {
    kind: KIND.event,
    body: Buffer.from('{"kind":"down","why":"it is"}'),
    write: (out) => link.writeEvent(out, { kind: 'down', why: 'it is' }),
    read: (body) => link.readEvent(bodyOf(body)),
    value: { kind: 'down', why: 'it is' },
  },
  settingsDefine: {
    kind: KIND.settingsDefine,
    body: cat(u32(4), Buffer.of(0), text(''), text(settings.meaning), Buffer.from(settings.sql)),
    write: (out) => link.writeSettingsDefine(out, 4, settings),
    read: (body) => link.readSettingsDefine(bodyOf(body)),
    value: { ...settings, id: 4 },
  },
  settingsDefineWithPath: {
    kind: KIND.settingsDefine,
    body: cat(u32(4), Buffer.of(1), text('a'), text(settings.meaning), Buffer.from(settings.sql)),
    write: (out) => link.writeSettingsDefine(out, 4, { ...settings, codePath: 'a' }),
    read: (body) => link.readSettingsDefine(bodyOf(body)),
    value: { ...settings, id: 4, codePath: 'a' },
  },
  settingsDefineWithNames: {
    kind: KIND.settingsDefine,
    body: cat(
      ...[u32(4), Buffer.of(6), text(''), text('a.b\0a.c'), text('*'), text('')],
      ...[text(settings.meaning), Buffer.from(settings.sql)],
    ),
    write: (out) => link.writeSettingsDefine(out, 4, { ...settings, custom: NAMES, spoils: true }),
    read: (body) => link.readSettingsDefine(bodyOf(body)),
    value: { ...settings, id: 4, custom: NAMES, spoils: true },
  },
  settingsForget: {
    kind: KIND.settingsForget,
    body: u32(4),
    write: (out) => link.writeForget(out, KIND.settingsForget, 4),
    read: (body) => link.readForget(bodyOf(body)),
    value: 4,
  },
  statementDefine: {
    kind: KIND.statementDefine,
    body: cat(u32(9), text('w_1f'), statement.parse),
    write: (out) => link.writeStatementDefine(out, 9, statement),
    read: (body) => link.readStatementDefine(bodyOf(body)),
    value: { handle: 9, ref: statement },
  },
  'open internal': {
    kind: KIND.open,
    body: cat(u32(9), bytes(0)),
    write: (out) => session.writeOpen(out, 77, 9, { kind: 'internal' }),
    read: (body) => session.readOpen(bodyOf(body)),
    value: { knownAs: 9, identity: { kind: 'internal' } },
  },
  'open without keys': {
    kind: KIND.open,
    body: cat(u32(9), bytes(1), text('zoë')),
    write: (out) => session.writeOpen(out, 77, 9, { kind: 'client', user: 'zoë' }),
    read: (body) => session.readOpen(bodyOf(body)),
    value: { knownAs: 9, identity: { kind: 'client', user: 'zoë' } },
  },
  'open with keys': {
    kind: KIND.open,
    body: cat(u32(9), bytes(2), text('zoë'), keys.clientKey, keys.serverKey),
    write: (out) => session.writeOpen(out, 77, 9, { kind: 'client', user: 'zoë', scram: keys }),
    read: (body) => session.readOpen(bodyOf(body)),
    value: { knownAs: 9, identity: { kind: 'client', user: 'zoë', scram: keys } },
  },
  'exec on any map': {
    kind: KIND.exec,
    body: cat(bytes(2 | 8, 0), u32(0xffff_ffff), u32(4), bytes(0, 0, 0, 0)),
    write: (out) => session.writeExec(out, 77, { ...bare(), mapVersion: ANY_MAP_VERSION }, 4, []),
    read: (body) => session.readExec(bodyOf(body), definitions).mapVersion,
    value: -1,
  },
  exec: {
    kind: KIND.exec,
    body: cat(
      bytes(1 | 4, 5),
      u32(70_000),
      u32(4),
      bytes(0, 2, 0, 1),
      text('BEGIN'),
      text("SET LOCAL x = 'ü'"),
      u32(9),
      request.payload,
    ),
    write: (out) => session.writeExec(out, 77, request, 4, [9]),
    read: (body) => session.readExec(bodyOf(body), definitions),
    value: { ...request, settings: { ...settings, id: 4 } },
  },
  'exec that commits apart': {
    kind: KIND.exec,
    body: cat(bytes(2 | 8, 0 | 8), u32(0), u32(4), bytes(0, 0, 0, 0)),
    write: (out) => session.writeExec(out, 77, { ...bare(), commits: 'apart' }, 4, []),
    read: (b) => session.readExec(bodyOf(b), definitions),
    value: { ...bare(), settings: { ...settings, id: 4 }, begin: [], needs: [], commits: 'apart' },
  },
  'exec that may commit in its midst': {
    kind: KIND.exec,
    body: cat(bytes(2 | 8, 7 | 16), u32(0), u32(4), bytes(0, 0, 0, 0)),
    write: (out) => session.writeExec(out, 77, { ...bare(), swallow: 7, commits: 'within' }, 4, []),
    read: (b) => session.readExec(bodyOf(b), definitions),
    value: {
      ...bare(),
      settings: { ...settings, id: 4 },
      begin: [],
      needs: [],
      swallow: 7,
      commits: 'within',
    },
  },
  'exec for a cut': {
    kind: KIND.exec,
    body: cat(bytes(2 | 8 | 16 | 64 | 128, 0), u32(0), u32(4), bytes(0, 0, 0, 0), u32(1), u32(2)),
    write: (out) =>
      session.writeExec(
        out,
        77,
        { ...bare(), cut: 'statement', seen: (1n << 32n) | 2n, ownUnseen: true },
        4,
        [],
      ),
    read: (body) => session.readExec(bodyOf(body), definitions),
    value: {
      ...bare(),
      settings: { ...settings, id: 4 },
      begin: [],
      needs: [],
      cut: 'statement',
      seen: (1n << 32n) | 2n,
      ownUnseen: true,
    },
  },
  'exec within a transaction': {
    kind: KIND.exec,
    body: cat(bytes(2 | 8, 0), u32(0), u32(4), bytes(0xff, 0xff, 0, 0)),
    write: (out) => session.writeExec(out, 77, { ...bare(), within: true }, 4, []),
    read: (body) => session.readExec(bodyOf(body), definitions),
    value: { ...bare(), settings: { ...settings, id: 4 }, begin: [], needs: [], within: true },
  },
  'exec by itself': {
    kind: KIND.exec,
    body: cat(bytes(2 | 8, 0), u32(0), u32(4), bytes(0xff, 0xfe, 0, 0)),
    write: (out) => session.writeExec(out, 77, { ...bare(), within: false }, 4, []),
    read: (body) => session.readExec(bodyOf(body), definitions),
    value: { ...bare(), settings: { ...settings, id: 4 }, begin: [], needs: [], within: false },
  },
  'exec that opens a transaction under a cut': {
    kind: KIND.exec,
    body: cat(bytes(2 | 8 | 32, 0), u32(0), u32(4), bytes(0, 0, 0, 0)),
    write: (out) => session.writeExec(out, 77, { ...bare(), cut: 'transaction' }, 4, []),
    read: (body) => session.readExec(bodyOf(body), definitions),
    value: { ...bare(), settings: { ...settings, id: 4 }, begin: [], needs: [], cut: 'transaction' },
  },
  'exec that takes its snapshot itself, under a cut': {
    kind: KIND.exec,
    body: cat(bytes(2 | 8 | 16 | 32, 0), u32(0), u32(4), bytes(0, 0, 0, 0)),
    write: (out) => session.writeExec(out, 77, { ...bare(), cut: 'execution' }, 4, []),
    read: (body) => session.readExec(bodyOf(body), definitions),
    value: { ...bare(), settings: { ...settings, id: 4 }, begin: [], needs: [], cut: 'execution' },
  },
  applied: {
    kind: KIND.applied,
    body: cat(u32(1), u32(2)),
    write: (out) => link.writeApplied(out, (1n << 32n) | 2n),
    read: (body) => link.readApplied(bodyOf(body)),
    value: (1n << 32n) | 2n,
  },
  'exec with nothing extra': {
    kind: KIND.exec,
    body: cat(bytes(2 | 8, 0), u32(0), u32(4), bytes(0, 0, 0, 0)),
    write: (out) => session.writeExec(out, 77, bare(), 4, []),
    read: (body) => session.readExec(bodyOf(body), definitions),
    value: { ...bare(), settings: { ...settings, id: 4 }, begin: [], needs: [] },
  },
  data: {
    kind: KIND.data,
    body: Buffer.from('rows'),
    write: (out) => session.writeBytes(out, KIND.data, 77, Buffer.from('rows')),
  },
  copyData: {
    kind: KIND.copyData,
    body: Buffer.from('rows'),
    write: (out) => session.writeBytes(out, KIND.copyData, 77, Buffer.from('rows')),
  },
  async: {
    kind: KIND.async,
    body: Buffer.from('notice'),
    write: (out) => session.writeBytes(out, KIND.async, 77, Buffer.from('notice')),
  },
  dataEnd: {
    kind: KIND.dataEnd,
    body: cat(bytes(0x54, 1), Buffer.from('Z')),
    write: (out) => session.writeDataEnd(out, 77, 0x54, true, Buffer.from('Z')),
    read: (body) => session.readDataEnd(bodyOf(body)),
    value: { ready: 0x54, holds: true },
  },
  failed: {
    kind: KIND.failed,
    body: cat(bytes(1, 0), Buffer.from(JSON.stringify(error.fields))),
    write: (out) => session.writeFailed(out, 77, error, true, false),
    read: (body) => plain(session.readFailed(bodyOf(body))),
    value: { sent: true, holds: false, error: error.fields },
  },
  credit: {
    kind: KIND.credit,
    body: u32(65_536),
    write: (out) => session.writeCredit(out, 77, 65_536),
    read: (body) => session.readCredit(bodyOf(body)),
    value: 65_536,
  },
  prepare: {
    kind: KIND.prepare,
    body: cat(u32(2), Buffer.from([5]), text('weft_1')),
    write: (out) => commit.writePrepare(out, 77, 2, 'weft_1', { probe: true, follows: true }),
    read: (body) => commit.readPrepare(bodyOf(body)),
    value: {
      requestId: 2,
      options: { probe: true, last: false, follows: true, moves: false },
      gid: 'weft_1',
    },
  },
  commitPrepared: {
    kind: KIND.commitPrepared,
    body: cat(u32(2), u64(STAMP), text('weft_1')),
    write: (out) => commit.writeCommitPrepared(out, 77, 2, 'weft_1', STAMP),
    read: (body) => commit.readCommitPrepared(bodyOf(body)),
    value: { requestId: 2, commitTs: STAMP, gid: 'weft_1' },
  },
  prepared: {
    kind: KIND.prepared,
    body: cat(u32(2), bytes(1), u64(STAMP), text('99')),
    write: (out) => commit.writePrepared(out, 77, 2, true, { prepareTs: STAMP, xid: '99' }),
    read: (body) => commit.readPrepared(bodyOf(body)),
    value: { requestId: 2, holds: true, reply: { prepareTs: STAMP, xid: '99' } },
  },
  commitLast: {
    kind: KIND.commitLast,
    body: cat(u32(2), u64(STAMP), text('weft_1'), text('SELECT 1')),
    write: (out) => commit.writeCommitLast(out, 77, 2, 'weft_1', STAMP, 'SELECT 1'),
    read: (body) => commit.readCommitLast(bodyOf(body)),
    value: { requestId: 2, commitTs: STAMP, gid: 'weft_1', sql: 'SELECT 1' },
  },
  timestampFixed: {
    kind: KIND.timestampFixed,
    body: cat(u64(STAMP), text('weft_1')),
    write: (out) => commit.writeTimestampFixed(out, 77, 'weft_1', STAMP),
    read: (body) => commit.readTimestampFixed(bodyOf(body)),
    value: { commitTs: STAMP, gid: 'weft_1' },
  },
  done: {
    kind: KIND.done,
    body: cat(u32(2), bytes(0)),
    write: (out) => session.writeDone(out, 77, 2, false),
    read: (body) => session.readDone(bodyOf(body)),
    value: { requestId: 2, holds: false },
  },
  refused: {
    kind: KIND.refused,
    body: cat(u32(2), bytes(1), Buffer.from(JSON.stringify(error.fields))),
    write: (out) => session.writeRefused(out, 77, 2, true, error),
    read: (body) => plain(session.readRefused(bodyOf(body))),
    value: { requestId: 2, holds: true, error: error.fields },
  },
  ...Object.fromEntries(
    (['cancel', 'pause', 'resume', 'close', 'released', 'ready'] as const).map((name): [string, Sample] => [
      name,
      { kind: KIND[name], body: bytes(), write: (out) => session.writeSignal(out, KIND[name], 77) },
    ]),
  ),
}

function bare(): ExecRequest {
  const fixed = { pin: false, taints: true, swallow: 0, payload: Buffer.alloc(0) }
  return { mapVersion: 0, settings, access: 'commit', ...fixed }
}

function plain<T extends { error: PgError }>(value: T): object {
  return { ...value, error: value.error.fields }
}

const aboutLink = new Set<number>([
  KIND.hello,
  KIND.goodbye,
  KIND.ping,
  KIND.control,
  KIND.answer,
  KIND.event,
  KIND.applied,
  KIND.settingsDefine,
  KIND.settingsForget,
  KIND.statementDefine,
])
const sessionOf = ({ kind }: Sample): number => (aboutLink.has(kind) ? 0 : 77)

test.each(Object.entries(samples))('frame %s: bytes as an independent encoder writes them', (_, sample) => {
  expect(written(sample.write)).toEqual(naive(sample.kind, sessionOf(sample), sample.body))
})

test.each(Object.entries(samples))('frame %s: read: what was written', (_, sample) => {
  if (sample.read === undefined) return
  expect(sample.read(sample.body)).toEqual(sample.value)
})

test.each(Object.entries(samples))('frame %s: body cut short: refused, or it says less', (_, sample) => {
  if (sample.read === undefined) return
  for (let end = 0; end < sample.body.length; end++) {
    let value: unknown
    try {
      value = sample.read(Buffer.from(sample.body.subarray(0, end)))
    } catch (cut) {
      expect(cut).toBeInstanceOf(PgError)
      continue
    }
    if (sample.kind !== KIND.dataEnd) expect(value).not.toEqual(sample.value)
  }
})

test('frames: all of them in a row, split at every point: the same frames', () => {
  const all = Object.values(samples)
  const stream = Buffer.concat(all.map((sample) => naive(sample.kind, sessionOf(sample), sample.body)))
  const expected = all.map((sample) => ({
    kind: sample.kind,
    session: sessionOf(sample),
    body: sample.body,
  }))
  for (let at = 0; at <= stream.length; at++) {
    const { frames, stamps } = read([stream.subarray(0, at), stream.subarray(at)])
    expect(joined(frames)).toEqual(expected)
    expect(stamps).toEqual([STAMP])
  }
  const single = read(Array.from(stream, (_, i) => stream.subarray(i, i + 1)))
  expect(joined(single.frames)).toEqual(expected)
})

/** Data and COPY bytes may come in parts; neighbours in the samples differ, so parts can be told apart. */
function joined(frames: readonly Frame[]): Frame[] {
  const whole: Frame[] = []
  for (const frame of frames) {
    const last = whole.at(-1)
    const isMore = last !== undefined && last.kind === frame.kind
    if (isMore && (frame.kind === KIND.data || frame.kind === KIND.copyData)) {
      last.body = Buffer.concat([last.body, frame.body])
    } else whole.push(frame)
  }
  return whole
}

test('frame reader: a timestamp is told once until it changes', () => {
  const stream = [5n, 5n, 7n, 7n, 6n].map((stamp) => naive(KIND.ping, 0, bytes(), stamp))
  expect(read(stream).stamps).toEqual([5n, 7n, 6n])
})

test('frame reader: data that comes in parts: handed out as it comes, nothing kept', () => {
  const frame = naive(KIND.data, 5, Buffer.alloc(100, 1))
  const { frames } = read([frame.subarray(0, 50), frame.subarray(50, 60), frame.subarray(60)])
  expect(frames.map(({ body }) => body.length)).toEqual([33, 10, 57])
})

test.each([
  ['longer than allowed', naive(KIND.data, 1, Buffer.alloc(101)), /frame of 101 bytes, 100 are allowed/],
  ['of an unknown kind', naive(9, 1, bytes()), /unknown frame kind 9/],
  ['of a kind beyond all', naive(255, 1, bytes()), /unknown frame kind 255/],
  ['shorter than its header', cat(u32(12), Buffer.alloc(20)), /shorter than its header/],
])('frame reader: a frame %s: refused', (_, frame, message) => {
  expect(() => read([frame], 100)).toThrow(message)
  expect(() => read([frame.subarray(0, 3), frame.subarray(3)], 100)).toThrow(message)
})

test('frame reader: random bytes: refused or waited for, never anything else', () => {
  const random = generator(20)
  for (let round = 0; round < 3_000; round++) {
    const chunks = Array.from({ length: 1 + (random() % 4) }, () => {
      const chunk = Buffer.from(Array.from({ length: random() % 60 }, () => random() & 255))
      // Mostly lengths that are believable, so that bodies are reached.
      if (chunk.length > 9 && random() % 4 > 0) {
        chunk.writeUInt32BE(13 + (random() % 30), 0)
        chunk[8] = random() % 64
      }
      return chunk
    })
    onlyPgErrors(() => read(chunks, 4_096))
  }
})

test('bodies: random bytes: refused with a PgError or read, never anything else', () => {
  const random = generator(21)
  const readers = Object.values(samples).flatMap((sample) => (sample.read ? [sample] : []))
  for (let round = 0; round < 5_000; round++) {
    const sample = readers[random() % readers.length]!
    const body = Buffer.from(sample.body)
    for (let n = random() % 6; n > 0 && body.length > 0; n--) body[random() % body.length] = random() & 255
    onlyPgErrors(() => sample.read!(body.subarray(0, random() % (body.length + 1))))
  }
})

function onlyPgErrors(work: () => unknown): void {
  try {
    work()
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(PgError)
  }
}

function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state >>> 8
  }
}

test('frame writer: small and large payloads mixed, slabs used again: bytes in order', () => {
  const out = new FrameWriter()
  const random = generator(22)
  for (let round = 0; round < 20; round++) {
    const expected: Frame[] = []
    for (let n = 0; n < 40; n++) {
      const body = Buffer.alloc(random() % (n % 5 === 0 ? 90_000 : 3_000), n)
      session.writeBytes(out, KIND.async, n, body)
      expected.push({ kind: KIND.async, session: n, body })
    }
    const pending = out.pendingBytes
    const stream = Buffer.concat(out.take(BigInt(round + 1)))
    expect(stream.length).toBe(pending)
    if (round % 2 === 0) out.recycle()
    const { frames, stamps } = read([stream])
    expect(frames.map(({ session: id }) => id)).toEqual(expected.map(({ session: id }) => id))
    // Comparing so many bytes one by one is slow.
    expect(frames.every(({ body }, i) => body.equals(expected[i]!.body))).toBe(true)
    expect(stamps).toEqual([BigInt(round + 1)])
  }
})

test('frame writer: what was taken stays as it is while new frames are written', () => {
  const out = new FrameWriter()
  session.writeBytes(out, KIND.async, 1, Buffer.from('first'))
  const taken = out.take(1n)
  const before = Buffer.concat(taken)
  session.writeBytes(out, KIND.async, 2, Buffer.from('second'))
  // Not everything was taken: nothing to use again yet.
  out.recycle()
  out.take(2n)
  expect(Buffer.concat(taken)).toEqual(before)
})

test('errors: every field of the wire survives, unknown ones too', () => {
  const fields: Record<string, string | number | string[][]> = {
    ...{ severity: 'FEHLER', severityRaw: 'ERROR', code: '22P02', message: 'm “ü”', detail: 'd', hint: 'h' },
    ...{ position: 17, internalPosition: '3', internalQuery: 'select', where: 'w\nw', schema: 's' },
    ...{ table: 't', column: 'c', dataType: 'y', constraint: 'k', file: 'f.c', line: '42', routine: 'r' },
  }
  const message = Buffer.from('SERROR\0C42601\0Mm\0Zone day\0\0')
  for (const sent of [fields, parseErrorFields(message, 0, message.length)]) {
    const body = written((out) => session.writeFailed(out, 1, new PgError(sent as never), false, false))
    const { error: got } = session.readFailed(link.bodyOf(body, 17, body.length))
    expect(got).toBeInstanceOf(PgError)
    expect(got.fields).toEqual(sent)
  }
})

test('hello: another version, cluster or shard: the reason', () => {
  const ours = { cluster: 'weft', shard: 1 }
  const theirs = { version: 11, cluster: 'weft', shard: 1, coordinatorId: 'x' }
  expect(link.helloMismatch(theirs, ours)).toBeUndefined()
  expect(link.helloMismatch({ ...theirs, version: 12 }, ours)).toMatch(/version 12 .* version 11/)
  expect(link.helloMismatch({ ...theirs, cluster: 'x' }, ours)).toMatch(/cluster "x".*"weft"/)
  expect(link.helloMismatch({ ...theirs, shard: 2 }, ours)).toMatch(/shard 2.*shard 1/)
  const later = written((out) => link.writeHello(out, hello, 6))
  expect(link.readHello(link.bodyOf(later, 17, later.length)).version).toBe(6)
})

test('definitions: many settings and statements: each known where it is used, bounded on both sides', () => {
  const sent = new SentDefinitions(8, 16)
  const received = new ReceivedDefinitions()
  const random = generator(23)
  const allSettings = Array.from({ length: 30 }, (_, id) => ({ id, sql: `SET x = ${id}` }))
  const all = Array.from({ length: 60 }, (_, n) => ({ name: `s${n}`, parse: Buffer.from(`parse ${n}`) }))
  const known = new Set<number>()
  for (let round = 0; round < 2_000; round++) {
    const needs = Array.from({ length: random() % 5 }, () => all[random() % all.length]!)
    const exec = { ...request, settings: allSettings[random() % 30]!, needs }
    const out = new FrameWriter()
    session.writeExec(out, 1, exec, sent.refer(out, exec), sent.needs)
    for (const { kind, body } of read([Buffer.concat(out.take(1n))]).frames) {
      const fields = bodyOf(body)
      if (kind === KIND.settingsDefine) received.defineSettings(link.readSettingsDefine(fields))
      else if (kind === KIND.settingsForget) received.forgetSettings(link.readForget(fields))
      else if (kind === KIND.statementDefine) {
        const { handle, ref } = link.readStatementDefine(fields)
        received.defineStatement(handle, ref)
        known.add(handle)
      } else if (kind === KIND.statementForget) {
        const handle = link.readForget(fields)
        received.forgetStatement(handle)
        known.delete(handle)
      } else {
        const got = session.readExec(fields, received)
        expect(got.settings.sql).toBe(exec.settings.sql)
        expect(got.needs).toEqual(needs)
      }
    }
    expect(known.size).toBeLessThanOrEqual(16)
  }
})

test('definitions: an exec that needs more than is remembered: all of it is there', () => {
  const sent = new SentDefinitions(8, 4)
  const needs = Array.from({ length: 10 }, (_, n) => ({ name: `s${n}`, parse: Buffer.from('p') }))
  const out = new FrameWriter()
  sent.refer(out, { ...request, needs })
  const { frames } = read([Buffer.concat(out.take(1n))])
  expect(frames.filter(({ kind }) => kind === KIND.statementDefine)).toHaveLength(10)
  expect(frames.filter(({ kind }) => kind === KIND.statementForget)).toHaveLength(0)
})

test('definitions: an exec that refers to nothing known: refused', () => {
  const body = written((out) => session.writeExec(out, 1, bare(), 99, []))
  expect(() => session.readExec(link.bodyOf(body, 17, body.length), definitions)).toThrow(/settings 99/)
  const needy = written((out) => session.writeExec(out, 1, bare(), 4, [1234]))
  expect(() => session.readExec(link.bodyOf(needy, 17, needy.length), definitions)).toThrow(/statement 1234/)
})

test('errors of ours: severity and hint survive', () => {
  const stale = weftError('stale_map', { have: 1, need: 2 })
  const body = written((out) => session.writeRefused(out, 0, 1, false, stale))
  const { error: got } = session.readRefused(link.bodyOf(body, 17, body.length))
  expect(got.fields).toEqual(stale.fields)
})
