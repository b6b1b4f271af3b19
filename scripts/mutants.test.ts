import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

interface Edit {
  readonly file: string
  readonly from: string
}

const { mutants } = (await import(new URL('mutants.js', import.meta.url).href)) as {
  mutants: Record<string, readonly Edit[]>
}

test.each(Object.entries(mutants))('mutant %s: what it changes is in its file exactly once', (_, edits) => {
  for (const { file, from } of edits) expect(readFileSync(file, 'utf8').split(from)).toHaveLength(2)
})
