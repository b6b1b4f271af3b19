import { describe, expect, test } from 'vitest'
import { chooseNode, downMs, type NodeView } from './choose-node.ts'

const node = (given: Partial<NodeView>): NodeView => ({
  busy: 0,
  idle: 0,
  hasRoom: true,
  downUntil: 0,
  ...given,
})
const choose = (nodes: NodeView[], draw = 0): number | undefined => chooseNode(nodes, 1000, () => draw)

describe('choose-node', () => {
  test('who has the least to do', () => {
    expect(choose([node({ busy: 2 }), node({ busy: 1 }), node({ busy: 3 })])).toBe(1)
  })

  test('among equals one with a connection at hand', () => {
    expect(choose([node({}), node({ idle: 1 })])).toBe(1)
  })

  test('among equals by chance', () => {
    expect([0, 0.34, 0.99].map((draw) => choose([node({}), node({}), node({})], draw))).toEqual([0, 1, 2])
  })

  test('one that is full is left out, but not one that is full with connections at hand', () => {
    expect(choose([node({ hasRoom: false }), node({ busy: 9 })])).toBe(1)
    expect(choose([node({ hasRoom: false, idle: 1 }), node({ busy: 9 })])).toBe(0)
  })

  test('one that is down is left out, even when the others are full', () => {
    expect(choose([node({ downUntil: 1001 }), node({ busy: 9 })])).toBe(1)
    expect(choose([node({ downUntil: 1001 }), node({ hasRoom: false })])).toBeUndefined()
  })

  test('its time over, it is one like the others', () => {
    expect(choose([node({ downUntil: 1000 }), node({ busy: 9 })])).toBe(0)
  })

  test('all down: the one whose turn is soonest', () => {
    expect(choose([node({ downUntil: 3000 }), node({ downUntil: 2000 })])).toBe(1)
  })

  test('how long one is left alone', () => {
    expect([1, 2, 3, 20].map((failures) => downMs(failures, () => 0.5))).toEqual([250, 500, 1000, 15_000])
    expect(downMs(1, () => 0)).toBe(125)
  })
})
