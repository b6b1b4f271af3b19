import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Verdict {
  readonly name: string
  /** Lines of the diff, in both directions; 0 is as on plain. */
  readonly differing: number
  readonly timedOut: boolean
  /** Whether plain Postgres' own output is one that its authors expect; what is compared with is plain's. */
  readonly plainAsExpected: boolean
}

export interface Folders {
  readonly expected: string
  readonly plain: string
  readonly weft: string
  readonly diffs: string
}

/**
 * As on plain: the same bytes as the plain server of this machine gave, or as one of the outputs that Postgres' authors
 * expect (some files have several, by the machine).
 */
export function compare(name: string, folders: Folders, timedOut: boolean): Verdict {
  const found = join(folders.weft, `${name}.out`)
  const plain = join(folders.plain, `${name}.out`)
  const expected = expectedOf(name, folders.expected)
  const text = readFileSync(found)
  const same = [plain, ...expected].some((path) => text.equals(readFileSync(path)))
  const plainText = readFileSync(plain)
  const plainAsExpected = expected.some((path) => plainText.equals(readFileSync(path)))
  const kept = join(folders.diffs, `${name}.diff`)
  if (same && !timedOut) {
    rmSync(kept, { force: true })
    return { name, differing: 0, timedOut, plainAsExpected }
  }
  const { stdout } = spawnSync('diff', ['-a', '-U3', plain, found], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  writeFileSync(kept, stdout)
  // Its first two lines name the files; a comment that is gone looks like one of them.
  const differing = stdout
    .split('\n')
    .slice(2)
    .filter((line) => /^[+-]/.test(line)).length
  return { name, differing: Math.max(differing, 1), timedOut, plainAsExpected }
}

function expectedOf(name: string, dir: string): string[] {
  const others = readdirSync(dir).filter((file) => file.startsWith(`${name}_`) && /_\d\.out$/.test(file))
  return [`${name}.out`, ...others].map((file) => join(dir, file)).filter((path) => existsSync(path))
}
