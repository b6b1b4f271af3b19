import { describe, expect, test } from 'vitest'
import { FailpointError, failpointsFromEnv, noFailpoints, TestFailpoints } from './failpoints.ts'

describe('failpoints', () => {
  test('environment: unset or empty: none', () => {
    expect(failpointsFromEnv(undefined)).toBe(noFailpoints)
    expect(failpointsFromEnv('')).toBe(noFailpoints)
  })

  test('environment: error at the second hit: fires once, there', async () => {
    const points = failpointsFromEnv('after-prepare:error@2,during-decision:pause=1')
    await points.hit('after-decision')
    await points.hit('during-decision')
    await points.hit('after-prepare')
    await expect(points.hit('after-prepare')).rejects.toThrow(FailpointError)
    expect(points.armed).toBe(false)
    await points.hit('after-prepare')
  })

  test.each(['x:kill', 'after-prepare', 'after-prepare:die', 'after-prepare:pause=', 'after-prepare:kill@'])(
    'environment: %s: refused',
    (text) => {
      expect(() => failpointsFromEnv(text)).toThrow(/cannot read/)
    },
  )

  test('call: the hit waits for it', async () => {
    const order: string[] = []
    const points = new TestFailpoints().set('after-decision', {
      kind: 'call',
      run: async () => {
        await Promise.resolve()
        order.push('called')
      },
    })
    await points.hit('after-decision')
    order.push('went on')
    expect(order).toEqual(['called', 'went on'])
    expect(points.hits).toEqual(['after-decision'])
  })
})
