import type { ChildProcess } from 'node:child_process'
import { stopWhenWeDie } from '../embedded/watchdog.ts'

/** A child process that is stopped with us, whatever becomes of us. */
export interface BenchChild {
  /** It is gone, or never came to be. */
  readonly ended: Promise<void>
  stop(): Promise<void>
}

export function watched(child: ChildProcess): BenchChild {
  const ended = new Promise<void>((done) => {
    child.once('error', () => done())
    child.once('exit', () => done())
  })
  const callOffWatch = child.pid === undefined ? () => undefined : stopWhenWeDie(child.pid)
  return {
    ended,
    stop: async () => {
      callOffWatch()
      child.kill('SIGTERM')
      await ended
    },
  }
}
