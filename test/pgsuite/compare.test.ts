import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { compare, type Folders } from './compare.ts'
import { only, readSchedule } from './schedule.ts'

let dir: string
let folders: Folders

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'weft-pgsuite-test-'))
  folders = {
    expected: join(dir, 'expected'),
    plain: join(dir, 'plain'),
    weft: join(dir, 'weft'),
    diffs: join(dir, 'diffs'),
  }
  for (const path of Object.values(folders)) mkdirSync(path)
})

afterEach(() => rmSync(dir, { recursive: true }))

function write(outputs: { plain: string; weft: string; expected: string; other?: string }): void {
  for (const where of ['plain', 'weft', 'expected'] as const)
    writeFileSync(join(folders[where], 'box.out'), outputs[where])
  if (outputs.other !== undefined) writeFileSync(join(folders.expected, 'box_1.out'), outputs.other)
}

test("pgsuite: as plain's own output here, or as one of those expected", () => {
  write({ plain: 'a\nb\n', weft: 'a\nb\n', expected: 'a\n' })
  expect(compare('box', folders, false)).toMatchObject({ differing: 0, plainAsExpected: false })
  write({ plain: 'a\nb\n', weft: 'other\n', expected: 'a\nb\n', other: 'other\n' })
  expect(compare('box', folders, false)).toMatchObject({ differing: 0, plainAsExpected: true })
})

test('pgsuite: differing lines are counted in both directions, and their diff is kept', () => {
  write({ plain: '-- a\nb\nc\n', weft: '-- x\nb\nc\nd\n', expected: '-- a\nb\nc\n' })
  expect(compare('box', folders, false).differing).toBe(3)
  expect(readFileSync(join(folders.diffs, 'box.diff'), 'utf8')).toContain('+d\n')
})

test('pgsuite: a file that was ended differs, whatever it had said', () => {
  write({ plain: 'a\n', weft: 'a\n', expected: 'a\n' })
  expect(compare('box', folders, true)).toMatchObject({ differing: 1, timedOut: true })
})

test('pgsuite: the schedule, and a part of it', () => {
  const groups = readSchedule('# c\ntest: test_setup\n\ntest: box  line\nignore: random\ntest: random\n')
  expect(groups).toEqual([['test_setup'], ['box', 'line'], ['random']])
  expect(only(groups, ['line'])).toEqual([['test_setup'], ['line']])
  expect(() => only(groups, ['lines'])).toThrow('no such test: lines')
})
