import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { blockedAt, chooseRunAs } from './run-as.ts'

const root = mkdtempSync(join(tmpdir(), 'weft-run-as-'))
chmodSync(root, 0o755)
afterAll(() => rmSync(root, { recursive: true, force: true }))

const stranger = { uid: 64_999, gid: 64_999, name: 'stranger' }

test('run as: a closed directory on the way: named, also when the path below does not exist yet', () => {
  const closed = join(root, 'closed')
  mkdirSync(join(closed, 'inside'), { recursive: true })
  expect(blockedAt(join(closed, 'inside', 'not', 'yet'), stranger)).toBeUndefined()
  chmodSync(closed, 0o700)
  expect(blockedAt(join(closed, 'inside', 'not', 'yet'), stranger)).toBe(closed)
})

test('run as: root never, ourselves otherwise', () => {
  const chosen = chooseRunAs(join(root, 'none'))
  if (process.getuid?.() === 0) expect(chosen?.uid).toBeGreaterThan(0)
  else expect(chosen).toBeUndefined()
})
