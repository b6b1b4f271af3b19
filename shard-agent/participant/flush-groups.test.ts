import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { FlushGroups, type FlushKind } from './flush-groups.ts'

const patienceMs = 5

/** Work that is under way until it is told to end. */
class Work {
  readonly started: string[] = []
  private readonly ends = new Map<string, (error?: Error) => void>()
  readonly groups = new FlushGroups(patienceMs)

  run(name: string, kind: FlushKind = 'prepare'): Promise<string> {
    return this.groups.run(kind, async () => {
      this.started.push(name)
      await new Promise<void>((resolve, reject) => {
        this.ends.set(name, (error) => (error === undefined ? resolve() : reject(error)))
      })
      return name
    })
  }

  end(name: string, error?: Error): void {
    this.ends.get(name)!(error)
  }
}

const settle = (): Promise<void> => vi.advanceTimersByTimeAsync(1).then(() => undefined)

describe('flush groups', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test('what comes in one turn of the event loop starts together', async () => {
    const work = new Work()
    const both = [work.run('a'), work.run('b')]
    expect(work.started).toEqual([])
    await settle()
    expect(work.started).toEqual(['a', 'b'])
    work.end('b')
    work.end('a')
    expect(await Promise.all(both)).toEqual(['a', 'b'])
  })

  test('what comes while a group is under way waits until all of it is back, then starts together', async () => {
    const work = new Work()
    const all = [work.run('a'), work.run('b')]
    await settle()
    all.push(work.run('c'))
    work.end('a')
    await settle()
    all.push(work.run('d'))
    await settle()
    expect(work.started).toEqual(['a', 'b'])
    work.end('b')
    await settle()
    expect(work.started).toEqual(['a', 'b', 'c', 'd'])
    work.end('c')
    work.end('d')
    expect(await Promise.all(all)).toEqual(['a', 'b', 'c', 'd'])
  })

  test('a member that fails is back too', async () => {
    const work = new Work()
    const first = expect(work.run('a')).rejects.toThrow('refused')
    await settle()
    const second = work.run('b')
    work.end('a', new Error('refused'))
    await first
    await settle()
    expect(work.started).toEqual(['a', 'b'])
    work.end('b')
    expect(await second).toBe('b')
  })

  test('work that throws before it waits for anything keeps nobody waiting', async () => {
    const groups = new FlushGroups(patienceMs)
    const refused = expect(
      groups.run('prepare', () => {
        throw new Error('at once')
      }),
    ).rejects.toThrow('at once')
    await settle()
    await refused
    const next = groups.run('prepare', () => Promise.resolve('next'))
    await settle()
    expect(await next).toBe('next')
  })

  test('a group that does not come back is overtaken, and its late return changes nothing', async () => {
    const work = new Work()
    const all = [work.run('stuck')]
    await settle()
    all.push(work.run('b'))
    await vi.advanceTimersByTimeAsync(patienceMs - 1)
    expect(work.started).toEqual(['stuck'])
    await vi.advanceTimersByTimeAsync(1)
    expect(work.started).toEqual(['stuck', 'b'])
    all.push(work.run('c'))
    work.end('stuck')
    await settle()
    expect(work.started).toEqual(['stuck', 'b'])
    work.end('b')
    await settle()
    expect(work.started).toEqual(['stuck', 'b', 'c'])
    work.end('c')
    expect(await Promise.all(all)).toEqual(['stuck', 'b', 'c'])
  })

  test('a cut: what was decided goes at once, what prepares waits until it is over', async () => {
    const work = new Work()
    const all = [work.run('under way')]
    await settle()
    all.push(work.run('p1'), work.run('c1', 'conclude'))
    await settle()
    expect(work.started).toEqual(['under way'])
    work.groups.hurry(true)
    await Promise.resolve()
    expect(work.started).toEqual(['under way', 'c1'])
    all.push(work.run('p2'), work.run('c2', 'conclude'), work.run('c3', 'conclude'))
    await Promise.resolve()
    expect(work.started).toEqual(['under way', 'c1', 'c2', 'c3'])
    for (const name of ['under way', 'c3', 'c2', 'c1']) work.end(name)
    await settle()
    expect(work.started).toEqual(['under way', 'c1', 'c2', 'c3'])
    work.groups.hurry(false)
    await settle()
    expect(work.started).toEqual(['under way', 'c1', 'c2', 'c3', 'p1', 'p2'])
    work.end('p1')
    work.end('p2')
    await Promise.all(all)
    const last = work.run('last')
    await settle()
    work.end('last')
    expect(await last).toBe('last')
  })

  test('cuts without end, and commits under them: what prepares waits no longer for these', async () => {
    const work = new Work()
    work.groups.hurry(true)
    const all = [work.run('p')]
    await vi.advanceTimersByTimeAsync(patienceMs - 2)
    all.push(work.run('c', 'conclude'))
    await vi.advanceTimersByTimeAsync(1)
    expect(work.started).toEqual(['c'])
    await vi.advanceTimersByTimeAsync(1)
    expect(work.started).toEqual(['c', 'p'])
    work.end('c')
    work.end('p')
    expect(await Promise.all(all)).toEqual(['p', 'c'])
  })

  test('cuts without end: what prepares waits no longer than for a slow group', async () => {
    const work = new Work()
    work.groups.hurry(true)
    const prepared = work.run('a')
    await vi.advanceTimersByTimeAsync(patienceMs - 1)
    expect(work.started).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(work.started).toEqual(['a'])
    work.end('a')
    expect(await prepared).toBe('a')
  })
})
