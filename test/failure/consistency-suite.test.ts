import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** A short form of what `npm run jepsen -- --all` does for long: does the suite run, does Weft hold, is something found. */
describe('the consistency suite, for some seconds', () => {
  let out: string

  beforeAll(() => {
    out = mkdtempSync(join(tmpdir(), 'weft-suite-'))
  })
  afterAll(() => rmSync(out, { recursive: true, force: true }))

  interface Result {
    readonly status: number | null
    readonly said: string
    readonly history: readonly { readonly type: string; readonly process: number | 'nemesis' }[]
  }

  async function run(name: string, ...args: string[]): Promise<Result> {
    const directory = join(out, name)
    const child = spawn(
      process.execPath,
      // A busy machine starts nodes slowly.
      ['scripts/jepsen.js', '--workload', name, '--settle', '60', '--out', directory, ...args],
      { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] },
    )
    let said = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        said += chunk.toString()
      })
    const status = await new Promise<number | null>((done) => child.on('close', done))
    const file = join(directory, 'history.jsonl')
    const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
    return { status, said, history: lines.map((line) => JSON.parse(line)) }
  }

  const answered = ({ history }: Result): number => history.filter(({ type }) => type === 'ok').length

  it('list-append, processes killed and links cut: valid', async () => {
    const result = await run(
      'list-append',
      ...['--nemesis', 'kill,partition', '--time', '15', '--rate', '60', '--seed', '1'],
    )
    expect(result.said).toContain('valid: true')
    expect(result.status).toBe(0)
    expect(answered(result)).toBeGreaterThan(5)
    expect(result.history.some(({ process }) => process === 'nemesis')).toBe(true)
  }, 240_000)

  it('bank, without consistent reads: totals that never were are found', async () => {
    const result = await run(
      'bank',
      ...['--set', 'weft.consistent_reads=off', '--isolation', 'read-committed'],
      ...['--time', '15', '--rate', '100', '--seed', '2'],
    )
    expect(result.said).toContain('wrong-total')
    expect(result.status).toBe(1)
  }, 240_000)

  it('a build whose sessions forget what they have seen: found', async () => {
    const result = await run('read-your-writes', '--mutants', '--mutant', 'session-forgets', '--seed', '1')
    expect(result.said).toContain('went-back')
    expect(result.status).toBe(0)
  }, 400_000)
})
