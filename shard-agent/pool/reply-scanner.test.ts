import { expect, test } from 'vitest'
import { DROP, EXAMINE, PASS, ReplyScanner, ruleTable, type ScanDriver } from './reply-scanner.ts'

const message = (type: string, body: string): Buffer => {
  const out = Buffer.alloc(5 + body.length)
  out.write(type)
  out.writeInt32BE(body.length + 4, 1)
  out.write(body, 5)
  return out
}

class Recorder implements ScanDriver {
  readonly forwarded: Buffer[] = []
  readonly examined: string[] = []
  readonly readies: string[] = []
  keep = true
  forward(chunk: Buffer): void {
    expect(chunk.length).toBeGreaterThan(0)
    this.forwarded.push(Buffer.from(chunk))
  }
  message(type: number, chunk: Buffer, start: number, end: number): boolean {
    this.examined.push(String.fromCharCode(type) + chunk.toString('latin1', start + 5, end))
    return this.keep
  }
  ready(chunk: Buffer, from: number, end: number, status: number): void {
    this.forwarded.push(Buffer.from(chunk.subarray(from, end)))
    this.readies.push(String.fromCharCode(status))
    // It must be whole in what it comes with.
    expect(chunk.subarray(end - 6, end)).toEqual(message('Z', String.fromCharCode(status)))
  }
  get text(): string {
    return Buffer.concat(this.forwarded).toString('latin1')
  }
}

const table = ruleTable(PASS, { E: EXAMINE, 1: DROP, 2: DROP })
const stream = Buffer.concat([
  message('1', ''),
  message('2', ''),
  message('T', 'columns'),
  message('D', 'row one'),
  message('E', 'trouble'),
  message('2', ''),
  message('D', ''),
  message('C', 'SELECT 1'),
  message('Z', 'T'),
  message('1', 'dropped with a body'),
  message('Z', 'I'),
])
const left = Buffer.concat([
  message('T', 'columns'),
  message('D', 'row one'),
  message('E', 'trouble'),
  message('D', ''),
  message('C', 'SELECT 1'),
  message('Z', 'T'),
  message('Z', 'I'),
]).toString('latin1')

test('reply scanner: one chunk: forwarded in runs, dropped messages left out', () => {
  const recorder = new Recorder()
  new ReplyScanner(recorder, table).push(stream)
  expect(recorder.text).toBe(left)
  expect(recorder.examined).toEqual(['Etrouble'])
  expect(recorder.readies).toEqual(['T', 'I'])
  expect(recorder.forwarded.length).toBe(3)
})

test('reply scanner: every pair of split points: the same bytes', () => {
  for (let a = 1; a < stream.length; a++) {
    for (let b = a; b < stream.length; b += 3) {
      const recorder = new Recorder()
      const scanner = new ReplyScanner(recorder, table)
      for (const part of [stream.subarray(0, a), stream.subarray(a, b), stream.subarray(b)]) {
        if (part.length > 0) scanner.push(part)
      }
      expect(recorder.text).toBe(left)
      expect(recorder.examined).toEqual(['Etrouble'])
      expect(recorder.readies).toEqual(['T', 'I'])
    }
  }
})

test('reply scanner: byte by byte, examined messages refused: left out', () => {
  const recorder = new Recorder()
  recorder.keep = false
  const scanner = new ReplyScanner(recorder, table)
  for (const byte of stream) scanner.push(Buffer.of(byte))
  expect(recorder.text).toBe(left.replace(message('E', 'trouble').toString('latin1'), ''))
})

test('reply scanner: whole chunk without anything to leave out: the chunk itself, not a copy', () => {
  const chunk = Buffer.concat([message('T', 'columns'), message('D', 'row')])
  let seen: Buffer | undefined
  const driver: ScanDriver = {
    forward: (c) => {
      seen = c
    },
    message: () => true,
    ready: () => {},
  }
  new ReplyScanner(driver, table).push(chunk)
  expect(seen).toBe(chunk)
})

test('reply scanner: a length that cannot be: an error', () => {
  const scanner = new ReplyScanner(new Recorder(), table)
  expect(() => scanner.push(Buffer.from([0x44, 0, 0, 0, 3]))).toThrow('message of length 3')
})
