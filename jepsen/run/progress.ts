import type { Recorder } from './recorder.ts'

const EVERY_MS = 1000

/** One line that says how far the run is; on a terminal it is written over itself. */
export class Progress {
  private readonly recorder: Recorder
  private readonly seconds: number
  private readonly began = performance.now()
  private readonly timer: NodeJS.Timeout
  private seen = 0
  private readonly counts = { ok: 0, fail: 0, info: 0, invoke: 0 }
  private nemesis = ''

  constructor(recorder: Recorder, seconds: number) {
    this.recorder = recorder
    this.seconds = seconds
    this.timer = setInterval(() => this.show(), EVERY_MS)
  }

  private show(): void {
    for (const op of this.recorder.ops.slice(this.seen)) {
      if (op.process !== 'nemesis') this.counts[op.type]++
      else this.nemesis = `${op.f} ${JSON.stringify(op.value)}`
    }
    this.seen = this.recorder.ops.length
    const elapsed = Math.round((performance.now() - this.began) / 1000)
    const { ok, fail, info } = this.counts
    const line = `${elapsed} of ${this.seconds} s: ${ok} ok, ${fail} fail, ${info} info  ${this.nemesis}`
    if (process.stdout.isTTY)
      process.stdout.write(`\r\x1b[K${line.slice(0, (process.stdout.columns ?? 80) - 1)}`)
    else if (elapsed % 10 === 0) console.log(line)
  }

  end(): void {
    clearInterval(this.timer)
    if (process.stdout.isTTY) process.stdout.write('\n')
  }
}
