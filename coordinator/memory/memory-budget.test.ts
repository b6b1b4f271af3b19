import { describe, expect, it } from 'vitest'
import { PgError } from '../../errors/pg-error.ts'
import { defaultMemoryLimits, MemoryBudget } from './memory-budget.ts'

function refusal(work: () => void): PgError['fields'] {
  try {
    work()
  } catch (error) {
    if (error instanceof PgError) return error.fields
    throw error
  }
  throw new Error('expected an error')
}

describe('memory budget', () => {
  it('memory budget: over the session’s share: 53200 that says which limit, nothing changes', () => {
    const budget = new MemoryBudget({ nodeBytes: 1000, sessionBytes: 400 })
    const account = budget.session().account('settings')
    account.add(300)
    expect(refusal(() => account.add(101))).toMatchObject({
      code: '53200',
      message: 'out of memory',
      detail: expect.stringContaining('101 bytes of settings: the session keeps 300 of 400 bytes'),
    })
    expect([account.bytes, budget.used, budget.refusals]).toEqual([300, 300, 1])
    account.set(400)
    account.set(0)
    expect(budget.used).toBe(0)
  })

  it('memory budget: over the node’s limit: 53200 for who comes next, also below its own share', () => {
    const budget = new MemoryBudget({ nodeBytes: 1000, sessionBytes: 400 })
    const sessions = [budget.session(), budget.session(), budget.session()]
    for (const session of sessions.slice(0, 2)) session.account('portals').add(400)
    const last = sessions[2]!.account('portals')
    last.add(200)
    expect(refusal(() => last.add(1)).detail).toContain('sessions of this Weft node keep 1000 of 1000 bytes')
    sessions[0]!.close()
    last.add(1)
    expect(budget.used).toBe(601)
  })

  it('memory budget: what a closed session still says: not counted', () => {
    const budget = new MemoryBudget({ nodeBytes: 1000, sessionBytes: 400 })
    const session = budget.session()
    const account = session.account('portals')
    account.add(100)
    session.close()
    account.set(0)
    account.add(50)
    expect(budget.used).toBe(0)
  })

  it('memory budget: defaults: parts of what there is', () => {
    expect(defaultMemoryLimits(8 * 2 ** 30, 2 ** 32)).toEqual({ nodeBytes: 2 ** 30, sessionBytes: 2 ** 28 })
    // The heap is fixed when the process starts, and what is kept may be on it.
    expect(defaultMemoryLimits(64 * 2 ** 30, 3 * 2 ** 30)).toEqual({
      nodeBytes: 2 ** 30,
      sessionBytes: 2 ** 28,
    })
  })
})
