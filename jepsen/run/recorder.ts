import { createWriteStream, type WriteStream } from 'node:fs'
import { join } from 'node:path'
import { toEdn } from '../history/edn.ts'
import { toJson } from '../history/jsonl.ts'
import type { Op } from '../history/op.ts'

/** Keeps the history in the order in which it happened, and writes it down as it goes, in both forms. */
export class Recorder {
  readonly ops: Op[] = []
  private readonly files: readonly [WriteStream, WriteStream]
  private readonly began = process.hrtime.bigint()

  constructor(directory: string) {
    this.files = [
      createWriteStream(join(directory, 'history.edn')),
      createWriteStream(join(directory, 'history.jsonl')),
    ]
  }

  /** Nanoseconds since the run began. */
  now(): number {
    return Number(process.hrtime.bigint() - this.began)
  }

  add(op: Omit<Op, 'index' | 'time'>): Op {
    const whole: Op = { index: this.ops.length, time: this.now(), ...op }
    this.ops.push(whole)
    this.files[0].write(`${toEdn(whole)}\n`)
    this.files[1].write(`${toJson(whole)}\n`)
    return whole
  }

  async close(): Promise<void> {
    await Promise.all(this.files.map((file) => new Promise<void>((done) => file.end(() => done()))))
  }
}
