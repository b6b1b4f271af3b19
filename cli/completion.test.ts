import { execFileSync } from 'node:child_process'
import { Command } from 'commander'
import { expect, it } from 'vitest'
import { completionScript } from './completion.ts'
import { progressLine } from './progress.ts'
import { tableCommand } from './tables.ts'

const program = new Command('weft')
  .addCommand(tableCommand())
  .addCommand(new Command('top').option('--once', 'x'))

/** What bash would offer. */
function offered(...words: string[]): string[] {
  const script = `${completionScript(program, 'bash')}
COMP_WORDS=(weft ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}; _weft; printf '%s\\n' "\${COMPREPLY[@]}"`
  return execFileSync('bash', ['-c', script], { encoding: 'utf8' })
    .split('\n')
    .filter((word) => word !== '')
}

it('completion: bash: commands, those below them, and their flags', () => {
  expect(offered('t')).toEqual(['table', 'top'])
  expect(offered('table', 'sh')).toEqual(['show', 'shard'])
  expect(offered('table', 'shard', 'orders', '--co')).toEqual(['--colocate-with'])
  expect(offered('top', '--o')).toEqual(['--once'])
})

it('completion: zsh uses the one of bash; fish has a line for each command and flag', () => {
  expect(completionScript(program, 'zsh')).toContain('bashcompinit')
  const fish = completionScript(program, 'fish').split('\n')
  expect(fish).toContain("complete -c weft -n '__fish_seen_subcommand_from top' -l once")
  expect(fish.some((line) => line.includes('-a shard'))).toBe(true)
})

it.each([
  [{ rows_moved: null, rows: 10 }, '2 s, no rows on their way'],
  [{ rows_moved: 12_000, rows: null }, '2 s, 12,000 rows moved'],
  [{ rows_moved: 30, rows: 20 }, '2 s, 30 rows moved'],
  [{ rows_moved: 50, rows: 100 }, `[${'#'.repeat(15)}${'.'.repeat(15)}] 50 %, 50 rows moved, 2 s`],
])('progress: %j', (found, expected) => {
  expect(progressLine(found, 2_000)).toBe(expected)
})
