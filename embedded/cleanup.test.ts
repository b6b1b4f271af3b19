import { expect, test } from 'vitest'
import { Cleanup } from './cleanup.ts'

test('cleanup: run twice at once: every step once, last first', async () => {
  const done: string[] = []
  const cleanup = new Cleanup()
  cleanup.add(() => done.push('first'))
  cleanup.add(async () => {
    await Promise.resolve()
    done.push('second')
  })
  await Promise.all([cleanup.run(), cleanup.run()])
  expect(done).toEqual(['second', 'first'])
})

test('cleanup: a step fails: the others run, and the failure is told', async () => {
  const done: string[] = []
  const cleanup = new Cleanup()
  cleanup.add(() => done.push('first'))
  cleanup.add(() => {
    throw new Error('stuck')
  })
  await expect(cleanup.run()).rejects.toThrow('stuck')
  expect(done).toEqual(['first'])
})
