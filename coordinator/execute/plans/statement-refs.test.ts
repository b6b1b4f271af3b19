import { describe, expect, it } from 'vitest'
import { LONG_TEXT_BYTES } from './parse-turns.ts'
import type { PlanScope } from './planner.ts'
import { StatementRefs } from './statement-refs.ts'

const scope = { cache: { version: 1 }, key: '["public"]', catalog: { version: 1 } } as unknown as PlanScope
const text = (n: number, bytes: number): Buffer => Buffer.from(`select ${n} `.padEnd(bytes))

describe('statement refs', () => {
  it('statement refs: second use of a text: a name that stays', () => {
    const refs = new StatementRefs({ entriesMax: 10, textBytesMax: 1 << 20 })
    expect(refs.get(scope, text(1, 50), [], 0)).toBeUndefined()
    const ref = refs.get(scope, text(1, 50), [], 0)
    expect(ref?.name).toMatch(/^weft_1_/)
    expect(refs.get(scope, text(1, 50), [], 0)).toBe(ref)
  })

  it('statement refs: more bytes than allowed: oldest out first, and never more than allowed', () => {
    const refs = new StatementRefs({ entriesMax: 1000, textBytesMax: 100_000 })
    for (let i = 0; i < 100; i++) {
      refs.get(scope, text(i, 10_000), [], 0)
      refs.get(scope, text(i, 10_000), [], 0)
      expect(refs.bytes).toBeLessThanOrEqual(100_000)
    }
    expect(refs.get(scope, text(99, 10_000), [], 0)).toBeDefined()
    expect(refs.get(scope, text(0, 10_000), [], 0)).toBeUndefined()
  })

  it('statement refs: long texts: no name', () => {
    const refs = new StatementRefs({ entriesMax: 10, textBytesMax: 1 << 20 })
    for (let i = 0; i < 3; i++) expect(refs.get(scope, text(1, LONG_TEXT_BYTES + 1), [], 0)).toBeUndefined()
    expect(refs.bytes).toBe(0)
  })
})
