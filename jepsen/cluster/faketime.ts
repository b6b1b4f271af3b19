import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const LIBRARIES = '/usr/lib'

/** Debian: apt-get install libfaketime. Undefined: it is not there. */
function findLibrary(): string | undefined {
  if (!existsSync(LIBRARIES)) return undefined
  const paths = readdirSync(LIBRARIES).map((name) => join(LIBRARIES, name, 'faketime', 'libfaketime.so.1'))
  return paths.find((path) => existsSync(path))
}

/** What the library leaves of a process that was killed. */
export function removeFakeTime(pid: number): void {
  for (const name of [`sem.faketime_sem_${pid}`, `faketime_shm_${pid}`])
    rmSync(`/dev/shm/${name}`, { force: true })
}

/** The wall clocks of processes that are not ours, by a library that is loaded into them; their monotonic clocks go on. */
export class FakeTime {
  private readonly directory: string
  private readonly library: string

  private constructor(directory: string, library: string) {
    this.directory = directory
    this.library = library
  }

  static in(directory: string): FakeTime | undefined {
    const library = findLibrary()
    return library === undefined ? undefined : new FakeTime(directory, library)
  }

  /** What a process of that name is to be started with. */
  env(name: string): Record<string, string> {
    this.set(name, 0, 1)
    return {
      LD_PRELOAD: this.library,
      FAKETIME_TIMESTAMP_FILE: this.fileOf(name),
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    }
  }

  /** From the next second on it is off by so many seconds, and runs so many times as fast. */
  set(name: string, shiftSeconds: number, speed: number): void {
    const sign = shiftSeconds < 0 ? '-' : '+'
    writeFileSync(this.fileOf(name), `${sign}${Math.abs(shiftSeconds)}s${speed === 1 ? '' : ` x${speed}`}\n`)
  }

  private fileOf(name: string): string {
    return join(this.directory, 'wall', name)
  }
}
