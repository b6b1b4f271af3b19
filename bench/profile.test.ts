import { expect, test } from 'vitest'
import { busyShare, type CpuProfile, formatSelfTimes, selfTimes } from './profile.ts'

const frame = (functionName: string, url: string, lineNumber = 0) => ({
  functionName,
  url,
  lineNumber,
  columnNumber: 0,
})
const profile: CpuProfile = {
  nodes: [
    { id: 1, callFrame: frame('(idle)', '') },
    { id: 2, callFrame: frame('(garbage collector)', '') },
    { id: 3, callFrame: frame('route', 'file:///dist/weft.js', 10) },
    // The same function, called from elsewhere.
    { id: 4, callFrame: frame('route', 'file:///dist/weft.js', 10) },
    { id: 5, callFrame: frame('', 'file:///dist/weft.js', 20) },
  ],
  samples: [1, 2, 3, 4, 5],
  timeDeltas: [500, 100, 150, 150, 100],
}
const locate = (_url: string, line: number): string => (line < 15 ? 'coordinator/route.ts' : 'sql/lex.ts')

test('profile: self times: by function wherever it was called, without idle time, most first', () => {
  expect(selfTimes(profile, locate)).toEqual([
    { module: 'coordinator/route.ts', name: 'route', us: 300 },
    { module: '(native)', name: '(garbage collector)', us: 100 },
    { module: 'sql/lex.ts', name: '(anonymous)', us: 100 },
  ])
  expect(busyShare(profile)).toBe(0.5)
})

test('profile: text: modules by their share of the busy time', () => {
  const text = formatSelfTimes(selfTimes(profile, locate))
  expect(text.split('\n')[0]).toMatch(/^coordinator\/route\.ts\s+60\.0%$/)
})
